"""Boxes to outlines: embed a picture once, segment any number of boxes; a new one is a file and a line."""

from oodseg.masks.base import PromptableSegmenter

MASKS: dict[str, str] = {
    "compact": "oodseg.masks.compact:CompactSegmenter",
    "grabcut": "oodseg.masks.grabcut:GrabCutSegmenter",
    "box": "oodseg.masks.box:BoxSegmenter",
}

__all__ = ["MASKS", "PromptableSegmenter"]
