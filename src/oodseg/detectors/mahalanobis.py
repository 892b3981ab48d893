"""Mahalanobis distance of a segmenter's features from the nearest class."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import Segmentation
from oodseg.detectors.fitted import NOTHING
from oodseg.detectors.scoring import FittedScore
from oodseg.nn.tensors import resize

_POSITIONS = 4096  # of an image, evenly spread: neighbours say the same, and a product of D x D costs


class Mahalanobis(FittedScore):
    """`min_c (z - mean_c)^T Cov^-1 (z - mean_c)` over features z (Lee et al., NeurIPS 2018, Eq. 2).

    Class means and one covariance shared by all classes, over the in-distribution pixels of each predicted
    class. The squared distance, 0 or more.

    Args:
        shrinkage: Share of `trace(Cov) / D` on the diagonal, `(1 - s) Cov + s trace(Cov) / D I`, which keeps
            the inverse tame where features are nearly dependent; above 0, at most 1.
    """

    name = "mahalanobis"
    needs = "features"
    statistics = ("centre", "whitening", "means")
    centre: Tensor
    whitening: Tensor
    means: Tensor

    def __init__(self, shrinkage: float = 1e-4) -> None:
        if not (isinstance(shrinkage, int | float) and 0 < shrinkage <= 1):
            raise ConfigError(f"shrinkage must be above 0 and at most 1, not {shrinkage!r}")
        super().__init__()
        self.shrinkage = shrinkage

    def fit(self, batches: Iterable[Segmentation]) -> None:
        """See `FittedScore.fit`: sums in float64, D x D numbers whatever the number of images."""
        count = centre = sums = scatter = torch.zeros(0)
        for segmentation in batches:
            z, label = _samples(segmentation)
            if not len(count):
                classes, width = segmentation.logits.shape[1], z.shape[1]
                centre = z.mean(0)  # of the first image only: to keep the sums small
                count, sums = z.new_zeros(classes), z.new_zeros(classes, width)
                scatter = z.new_zeros(width, width)
            z = z - centre
            count = count + label.bincount(minlength=len(count))
            sums = sums.index_add(0, label, z)
            scatter = scatter + z.T @ z
        if not len(count):
            raise ScoreMapError(NOTHING.format(self.name))
        seen = count > 0
        means = sums[seen] / count[seen, None]
        covariance = (scatter - (means * count[seen, None]).T @ means) / count.sum()
        size = covariance.diagonal().mean()
        if not (size > 0 and torch.isfinite(size)):
            raise ScoreMapError(
                "cannot fit the score 'mahalanobis': the features are the same everywhere or not finite"
            )
        shrunk = (1 - self.shrinkage) * covariance
        shrunk.diagonal().add_(self.shrinkage * size)
        # Cov = L L^T, so |L^-1 (z - mean)|^2 is the distance: never negative, unlike a product with Cov^-1.
        factor = torch.linalg.cholesky(shrunk)
        whitening = torch.linalg.solve_triangular(factor, torch.eye(len(factor)).to(factor), upper=False)
        self._keep(centre=centre.float(), whitening=whitening.float(), means=(means @ whitening.T).float())

    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`; at the resolution of the features."""
        features = _features(segmentation).float()
        if features.shape[1] != len(self.centre):
            raise ConfigError(
                f"the statistics of mahalanobis are of {len(self.centre)} features, this segmenter gives "
                f"{features.shape[1]}: fit them with the same segmenter"
            )
        height, width = features.shape[-2:]
        z = torch.einsum("ij,bjn->bni", self.whitening, features.flatten(2) - self.centre[:, None])
        # Differences, not products: those lose the small distances of large features.
        distance = torch.cdist(z, self.means, compute_mode="donot_use_mm_for_euclid_dist").amin(2)
        return (distance**2).view(len(distance), height, width)


def _features(segmentation: Segmentation) -> Tensor:
    if segmentation.features is None:
        raise ConfigError("mahalanobis needs features: choose a segmenter that gives some, such as street")
    return segmentation.features


def _samples(segmentation: Segmentation) -> tuple[Tensor, Tensor]:
    """Features `[N, D]` in float64 and predicted classes `[N]` at evenly spread positions."""
    features = _features(segmentation)
    height, width = features.shape[-2:]
    logits = resize(segmentation.logits.float(), (height, width))
    step = max(1, math.ceil(math.sqrt(height * width / _POSITIONS)))
    z = features[:, :, ::step, ::step].double().movedim(1, -1)
    return z.flatten(0, -2), logits[:, :, ::step, ::step].argmax(1).flatten()
