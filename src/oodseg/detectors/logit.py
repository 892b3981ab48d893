"""Any closed-set segmenter plus a score function makes a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.detectors.normalization import ScoreNormalizer
from oodseg.detectors.scores import SCORES
from oodseg.errors import ConfigError
from oodseg.segmenters.street import StreetNet, pad_to_stride


class LogitDetector(nn.Module):
    """Scores a picture by the logits of a segmenter.

    Args:
        segmenter: Float `[B, 3, H, W]` in 0..1 to logits `[B, C, h, w]` of any resolution; or the settings
            of the bundled `StreetNet` as a mapping.
        score: Name in `SCORES`.
        smooth: Standard deviation in pixels of a Gaussian over the score (7x7 with 1.0 in PEBAL and RPL),
            0 for none.
        normalizer: Statistics on in-distribution pictures; fit them with `ScoreNormalizer.fit`.
    """

    name = "logit"

    def __init__(
        self,
        segmenter: Callable[[Tensor], Tensor] | Mapping[str, Any] | None = None,
        score: str = "energy",
        smooth: float = 0.0,
        normalizer: ScoreNormalizer | None = None,
    ) -> None:
        super().__init__()
        if score not in SCORES:
            raise ConfigError(f"there is no score '{score}'; choose one of: {', '.join(sorted(SCORES))}")
        if smooth < 0:
            raise ConfigError(f"smooth is a standard deviation in pixels and cannot be {smooth}")
        if segmenter is None or isinstance(segmenter, Mapping):
            segmenter = StreetNet(**(segmenter or {}))
        self.segmenter = segmenter
        self.score_name, self.smooth = score, smooth
        self.normalizer = normalizer or ScoreNormalizer()
        self.eval()

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able.

        Raises:
            ConfigError: The segmenter is not one that this package can rebuild.
        """
        if not isinstance(self.segmenter, StreetNet):
            raise ConfigError(
                "a pipeline around a segmenter of your own cannot be saved: keep your segmenter and build "
                "the LogitDetector from it after loading"
            )
        return {"segmenter": self.segmenter.config, "score": self.score_name, "smooth": self.smooth}

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        height, width = images.shape[-2:]
        padded = pad_to_stride(images)
        logits: Any = self.segmenter(padded)
        if isinstance(logits, tuple):
            logits = logits[0]
        score = SCORES[self.score_name](logits.float())
        score = F.interpolate(score[:, None], padded.shape[-2:], mode="bilinear", align_corners=False)
        if self.smooth:
            score = _blur(score, self.smooth)
        return score[:, 0, :height, :width].float()


def _blur(score: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=score.dtype, device=score.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(score, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
