"""A segmenter without training: fixed random 1x1 maps of the colours. Its config alone rebuilds it."""

import torch
from torch.nn import functional as F

from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.segmenters import SEGMENTERS, Segmenter

CLASSES, FEATURES, QUERIES = 4, 6, 5


class TinySegmenter(Segmenter):
    name = "tiny"
    classes = ("road", "car", "person", "sky")

    def __init__(self, seed=0, gives=("features", "queries"), gain=8.0):
        self.seed, self.gives, self.gain = seed, gives, gain
        draw = torch.Generator().manual_seed(seed)
        self._features = torch.randn(FEATURES, 3, 1, 1, generator=draw)
        self._logits = torch.randn(CLASSES, FEATURES, 1, 1, generator=draw) * gain
        self._masks = torch.randn(QUERIES, FEATURES, 1, 1, generator=draw) * gain
        self._classes = torch.randn(QUERIES, CLASSES + 1, generator=draw) * 3

    def segment(self, images):
        features = F.conv2d(F.avg_pool2d(images - 0.4, 2, ceil_mode=True), self._features)
        queries = MaskQueries(
            self._classes.expand(len(images), -1, -1), F.conv2d(features, self._masks) - 1.0
        )
        return Segmentation(
            F.conv2d(features, self._logits),
            features if "features" in self.gives else None,
            queries if "queries" in self.gives else None,
        )


def register(monkeypatch):
    monkeypatch.setitem(SEGMENTERS, "tiny", "tiny_segmenter:TinySegmenter")


def pictures(count=6, height=40, width=56, seed=0):
    """Batches of one picture each, sizes mixed: smooth colour patches with noise."""
    draw = torch.Generator().manual_seed(seed)
    batches = []
    for index in range(count):
        size = (height + 4 * (index % 3), width - 2 * (index % 2))
        patches = torch.rand(1, 3, 4, 5, generator=draw)
        image = F.interpolate(patches, size, mode="nearest") * 0.8
        batches.append(image + 0.2 * torch.rand(1, 3, *size, generator=draw))
    return batches
