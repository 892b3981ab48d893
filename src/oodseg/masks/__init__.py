"""Boxes to outlines: embed an image once, segment any number of boxes; a new one is a file and a line."""

from oodseg.core.parts import PromptableSegmenter

MASKS: dict[str, str] = {
    "compact": "oodseg.masks.compact:CompactSegmenter",
    "grabcut": "oodseg.masks.grabcut:GrabCutSegmenter",
    "box": "oodseg.masks.box:BoxSegmenter",
    "sam": "oodseg.masks.sam:SamSegmenter",
    "sam_hq": "oodseg.masks.sam:SamHQSegmenter",
    "sam2": "oodseg.masks.sam:Sam2Segmenter",
    "edgetam": "oodseg.masks.sam:EdgeTamSegmenter",
    "sam3": "oodseg.masks.sam:Sam3Segmenter",
    "sam_onnx": "oodseg.masks.sam_onnx:SamOnnxSegmenter",
    "fastsam": "oodseg.masks.fastsam:FastSamSegmenter",
    "everything": "oodseg.masks.everything:EverythingSegmenter",
}

__all__ = ["MASKS", "PromptableSegmenter"]
