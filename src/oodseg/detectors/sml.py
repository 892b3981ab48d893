"""Standardized max logits: how far below its class's usual height the largest logit stays.

Jung et al., "Standardized Max Logits" (ICCV 2021): classes differ in how large their logits get, so the
maximum is compared with what is usual for the predicted class. Two clean-ups can follow: seams between
predicted classes, unsure everywhere, are filled from beside them, and the map is smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import Segmentation
from oodseg.detectors.fitted import NOTHING
from oodseg.detectors.scoring import FittedScore
from oodseg.nn.smoothing import gaussian_blur
from oodseg.nn.tensors import resize


class SML(FittedScore):
    """`-(max_c f_c - mean_k) / std_k` with k the predicted class (Jung et al., ICCV 2021).

    Mean and standard deviation of the largest logit over the in-distribution pixels of each predicted
    class. Classes that are never (or always alike) predicted there take those of all pixels.

    Args:
        boundary_width: Distance in pixels up to which seams between predicted classes are suppressed, 0
            for not at all; 4 in the paper, on images of 2048x1024. See `suppress_boundaries`.
        dilation: Distance in pixels of the taps of a 7x7 Gaussian (sigma 1) over the result, 0 for none; 6
            in the paper.
    """

    name = "sml"
    absolute = True
    statistics = ("mean", "std")
    mean: Tensor
    std: Tensor

    def __init__(self, boundary_width: int = 0, dilation: int = 0) -> None:
        options = {"boundary_width": boundary_width, "dilation": dilation}
        for option, value in options.items():
            if not (isinstance(value, int) and 0 <= value <= 64):
                raise ConfigError(f"{option} must be a whole number of pixels from 0 to 64, not {value!r}")
        super().__init__()
        self.boundary_width, self.dilation = boundary_width, dilation

    def fit(self, batches: Iterable[Segmentation]) -> None:
        """See `FittedScore.fit`."""
        count = mean = m2 = torch.zeros(0)
        for segmentation in batches:
            logits = segmentation.logits
            if not len(count):
                count, mean, m2 = logits.new_zeros((3, logits.shape[1]), dtype=torch.float64).unbind()
            largest, label = (each.flatten() for each in logits.double().max(1))
            # Chan et al. 1979, as in ScoreNormalizer, one entry per class.
            n = label.bincount(minlength=len(count)).double()
            batch_mean = label.bincount(largest, len(count)) / n.clamp_min(1)
            batch_m2 = label.bincount((largest - batch_mean[label]) ** 2, len(count))
            delta, total = batch_mean - mean, (count + n).clamp_min(1)
            m2 = m2 + batch_m2 + delta**2 * count * n / total
            mean, count = mean + delta * n / total, count + n
        if not len(count):
            raise ScoreMapError(NOTHING.format(self.name))
        whole = count.sum()
        pooled_mean = (count * mean).sum() / whole
        pooled_std = ((m2 + count * (mean - pooled_mean) ** 2).sum() / whole).sqrt()
        if not (pooled_std > 0 and torch.isfinite(pooled_std)):
            raise ScoreMapError(
                "cannot fit the score 'sml': the largest logit is the same everywhere or not finite; "
                "check that the segmenter gives logits"
            )
        std = (m2 / count.clamp_min(1)).sqrt()
        usable = (count > 1) & (std > 1e-6 * pooled_std)
        self._keep(
            mean=torch.where(usable, mean, pooled_mean).float(),
            std=torch.where(usable, std, pooled_std).float(),
        )

    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`; at the size of the image if boundaries or smoothing are asked for."""
        logits = segmentation.logits.float()
        if logits.shape[1] != len(self.mean):
            raise ConfigError(
                f"the statistics of sml are of {len(self.mean)} classes, this segmenter has "
                f"{logits.shape[1]}: fit them with the same segmenter"
            )
        if self.boundary_width or self.dilation:
            logits = resize(logits, size)
        largest, label = logits.max(1)
        score = -(largest - self.mean[label]) / self.std[label]
        if self.boundary_width:
            score = suppress_boundaries(score, label, self.boundary_width)
        return gaussian_blur(score, 1.0, self.dilation) if self.dilation else score


def suppress_boundaries(score: Tensor, labels: Tensor, width: int) -> Tensor:
    """Fills the seams between predicted classes from the pixels beside them (Jung et al., ICCV 2021).

    For r = width - 1 … 0, every pixel within r steps of a boundary pixel becomes the mean of those of its 3x3
    neighbours that are farther away, if there are any: values creep in from both sides until the seam is
    closed. A boundary pixel is one of whose four neighbours has another label. (The authors' code also
    counts some diagonal neighbours, depending on the order of the class indices.)

    Args:
        score: Float `[B, H, W]`.
        labels: Predicted classes `[B, H, W]`.
        width: Number of rounds, at least 1.

    Returns:
        Float `[B, H, W]`; pixels farther than `width - 1` steps from a boundary are as they were.
    """
    seam = torch.zeros_like(labels, dtype=torch.bool)
    down, right = labels[:, 1:] != labels[:, :-1], labels[:, :, 1:] != labels[:, :, :-1]
    seam[:, 1:] |= down
    seam[:, :-1] |= down
    seam[:, :, 1:] |= right
    seam[:, :, :-1] |= right
    grown = [seam.to(score.dtype)[:, None]]
    for _ in range(width - 1):
        near = grown[-1]
        across = F.max_pool2d(near, (1, 3), 1, (0, 1))
        grown.append(torch.maximum(across, F.max_pool2d(near, (3, 1), 1, (1, 0))))
    result = score[:, None]
    for near in reversed(grown):
        outside = 1 - near
        padded = F.pad(torch.cat([result * outside, outside], 1), (1, 1, 1, 1), mode="replicate")
        total, count = F.avg_pool2d(padded, 3, 1, divisor_override=1).chunk(2, 1)
        result = torch.where((near > 0) & (count > 0), total / count.clamp_min(1), result)
    return result[:, 0]
