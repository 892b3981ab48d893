"""Image to class logits; a new segmenter is one new file and one line here."""

from __future__ import annotations

from oodseg.core.parts import MaskQueries, Segmentation, Segmenter

SEGMENTERS: dict[str, str] = {
    "street": "oodseg.segmenters.street:StreetNet",
    "street_ensemble": "oodseg.segmenters.street_ensemble:StreetEnsemble",
    "segformer": "oodseg.segmenters.hub_pixel:SegformerSegmenter",
    "upernet": "oodseg.segmenters.hub_pixel:UperNetSegmenter",
    "dpt": "oodseg.segmenters.hub_pixel:DptSegmenter",
    "mask2former": "oodseg.segmenters.hub_masks:Mask2FormerSegmenter",
    "maskformer": "oodseg.segmenters.hub_masks:MaskFormerSegmenter",
    "oneformer": "oodseg.segmenters.hub_masks:OneFormerSegmenter",
    "eomt": "oodseg.segmenters.eomt:EomtSegmenter",
    "torchvision": "oodseg.segmenters.torchvision_models:TorchvisionSegmenter",
    "deepwv3plus": "oodseg.segmenters.deepwv3plus:DeepWV3PlusSegmenter",
    "onnx": "oodseg.segmenters.onnx_file:OnnxSegmenter",
    "tiled": "oodseg.segmenters.tiled:TiledSegmenter",
    "given": "oodseg.segmenters.given:GivenLabels",
}

__all__ = ["SEGMENTERS", "MaskQueries", "Segmentation", "Segmenter"]
