"""Names of torchvision, imported without torch's compiler: whoever needs one takes it from here."""

from oodseg.nn.light_imports import import_torchvision

import_torchvision()

from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign, nms, roi_align
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
from torchvision.ops.poolers import initLevelMapper

__all__ = [
    "AnchorGenerator",
    "FastRCNNPredictor",
    "FasterRCNN",
    "FeaturePyramidNetwork",
    "ImageList",
    "LastLevelMaxPool",
    "MultiScaleRoIAlign",
    "TwoMLPHead",
    "initLevelMapper",
    "nms",
    "resnet_fpn_backbone",
    "roi_align",
]
