"""A pipeline that needs no training: whatever is red is unknown. Pictures to go with it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from oodseg.core.modules import ModulePart
from oodseg.detectors import DETECTORS, Detector, ScoreNormalizer
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts

HEIGHT, WIDTH = 96, 128


class Redness(ModulePart, Detector):
    """Scores every pixel by how red it is; has a weight, so that there is a weight file."""

    name = "redness"

    def __init__(self) -> None:
        super().__init__()
        self.normalizer = ScoreNormalizer(0.0, 0.1)
        self.gain = nn.Parameter(torch.ones(1))

    def score(self, images):
        return self.gain * (images[:, 0] - images[:, 1:].amax(1))


def make_pipeline() -> S2M:
    return S2M(Redness(), ComponentPrompts(min_area=20), BoxSegmenter(), name="red")


def save_pipeline(folder: Path) -> Path:
    make_pipeline().save_pretrained(folder)
    return folder


def register(monkeypatch) -> None:
    monkeypatch.setitem(DETECTORS, "redness", "redness:Redness")


def street(*boxes, size=(HEIGHT, WIDTH)):
    """A grey picture with red rectangles `(x0, y0, x1, y1)`."""
    image = np.full((*size, 3), 90, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = (250, 10, 10)
    return image


def save_street(path: Path, *boxes, size=(HEIGHT, WIDTH)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(street(*boxes, size=size)).save(path)
    return path
