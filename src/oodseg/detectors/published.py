"""Detectors by the checkpoint files of their authors' releases."""

from __future__ import annotations

from oodseg.detectors.logit import LogitDetector
from oodseg.segmenters.deepwv3plus import DeepWV3PlusSegmenter


def rpl(source: str, smooth: float = 1.0, reduced_precision: bool = False) -> LogitDetector:
    """Builds RPL or RPL+CoroCL (Liu et al., ICCV 2023) from a checkpoint of its release.

    The score is the energy of the logits with the residual block, at the image's size, smoothed by a 7x7
    Gaussian: what the release computes.

    Args:
        source: The `.pth` file; opened with `weights_only`.
        smooth: Standard deviation in pixels of the Gaussian, 0 for none.
        reduced_precision: See `DeepWV3PlusSegmenter`.

    Raises:
        WeightsError: No such file, or one of another network.
        ConfigError: A file of another number of classes, or without a residual block.
    """
    segmenter = DeepWV3PlusSegmenter(source, residual=True, reduced_precision=reduced_precision)
    return LogitDetector(segmenter, "energy", smooth)
