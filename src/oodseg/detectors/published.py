"""Detectors of the checkpoint files that their authors published: `rpl:FILE.pth`, `pebal:FILE.pth`, ...

All of them are the network of `oodseg.segmenters.deepwv3plus` with a score of its logits. The files are
opened with `weights_only`; what is wrong with one is a `WeightsError` or a `ConfigError`, see there.
"""

from __future__ import annotations

from pathlib import Path

from oodseg.detectors.logit import LogitDetector
from oodseg.segmenters.deepwv3plus import DeepWV3PlusSegmenter


def rpl(path: Path, smooth: float = 1.0) -> LogitDetector:
    """Builds RPL or RPL+CoroCL (Liu et al., ICCV 2023).

    The score is the energy of the logits with the residual block, at the image's size, smoothed: what the
    release computes.

    Args:
        path: The checkpoint.
        smooth: Standard deviation in pixels of the Gaussian, 0 for none.
    """
    return LogitDetector(DeepWV3PlusSegmenter(str(path), residual=True), "energy", smooth)


def pebal(path: Path, smooth: float = 1.0) -> LogitDetector:
    """Builds PEBAL (Tian et al., ECCV 2022): the energy of the known classes, smoothed; see `rpl`."""
    return LogitDetector(DeepWV3PlusSegmenter(str(path), abstention=True), "energy", smooth)


def meta_ood(path: Path, smooth: float = 0.0) -> LogitDetector:
    """Builds Meta-OoD (Chan et al., ICCV 2021): the normalised entropy; see `rpl`."""
    return LogitDetector(DeepWV3PlusSegmenter(str(path)), "softmax_entropy", smooth)
