"""Score map to boxes with confidences; a new generator is one new file and one line here."""

from oodseg.core.parts import BoxPrompts, PromptGenerator

PROMPTS: dict[str, str] = {
    "faster_rcnn": "oodseg.prompts.faster_rcnn:FasterRCNNPrompts",
    "detectron2": "oodseg.prompts.detectron2:DetectronPrompts",
    "components": "oodseg.prompts.components:ComponentPrompts",
}

__all__ = ["PROMPTS", "BoxPrompts", "PromptGenerator"]
