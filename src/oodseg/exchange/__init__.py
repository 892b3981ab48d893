"""Into and out of the tools that people label and look at data with.

Every format is one file with a writer and a reader. Masks come back pixel by pixel, but where a format
cannot hold them, which `Export.notes` says.
"""

from oodseg.exchange.detections import from_supervision, to_supervision
from oodseg.exchange.format import Format
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.results import read_results
from oodseg.exchange.transfer import Export, read, write

FORMATS: dict[str, str | Format] = {
    "coco": "oodseg.exchange.coco:FORMAT",
    "coco-panoptic": "oodseg.exchange.panoptic:FORMAT",
    "cvat": "oodseg.exchange.cvat:FORMAT",
    "fiftyone": "oodseg.exchange.fiftyone:FORMAT",
    "huggingface": "oodseg.exchange.hugging_face:FORMAT",
    "label-studio": "oodseg.exchange.label_studio:FORMAT",
    "labelme": "oodseg.exchange.labelme:FORMAT",
    "oodis": "oodseg.exchange.oodis:FORMAT",
    "smiyc": "oodseg.exchange.smiyc:FORMAT",
    "supervisely": "oodseg.exchange.supervisely:FORMAT",
    "yolo": "oodseg.exchange.yolo:FORMAT",
}

__all__ = [
    "FORMATS",
    "Export",
    "Format",
    "LabelledImage",
    "from_supervision",
    "read",
    "read_results",
    "to_supervision",
    "write",
]
