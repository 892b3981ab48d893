"""Mahalanobis distance of a segmenter's features from the class that it predicts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Learned
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmentation, Segmenter

_POSITIONS = 2048  # of an image, evenly spread


class FeatureDistance(SegmenterAssessor, Learned):
    """Scores by `(z - mean_c)^T Cov^-1 (z - mean_c)` of features z and the predicted class c.

    K. Lee, K. Lee, H. Lee, J. Shin, NeurIPS 2018, arXiv 1807.03888, Eq. 2, for the class that is judged in
    place of the nearest one: what lies far from its class is likely none of it. All classes share one
    covariance.

    Args:
        segmenter: One that hands out its features.
        calibration: See `SegmenterAssessor`.
        channels: Channels D of the features; None to find out while fitting.

    Attributes:
        means: Whitened means of the classes, float32 `[C, D]`; infinite of a class that was not seen.
        whitening: Float32 `[D, D]`: features times it have a covariance of one.
    """

    name = "mahalanobis"
    means: Tensor
    whitening: Tensor

    def __init__(
        self, segmenter: Segmenter, calibration: Calibration | None = None, channels: int | None = None
    ) -> None:
        super().__init__(segmenter, calibration)
        self.channels = channels
        width = channels or 0
        self.register_buffer("means", torch.full((len(self.classes), width), torch.inf))
        self.register_buffer("whitening", torch.eye(width))

    def fit(self, batches: Iterable[tuple[Segmentation, Tensor]], shrinkage: float = 1e-3) -> None:
        """Fits means and covariance.

        Args:
            batches: Segmentations with features, of batches of one, and their true classes, integers
                `[H, W]`, 255 where there is none.
            shrinkage: Share of the mean variance that is added to the diagonal, > 0.

        Raises:
            ConfigError: The segmenter gives no features, or there are no images.
        """
        count = sums = scatter = torch.zeros(0)
        classes = len(self.classes)
        for segmentation, truth in batches:
            z, label = _pixels(self.features_of(segmentation), truth, classes)
            if not len(count):
                count, sums = z.new_zeros(classes), z.new_zeros(classes, z.shape[1])
                scatter = z.new_zeros(z.shape[1], z.shape[1])
            count += label.bincount(minlength=classes)
            sums.index_add_(0, label, z)
            scatter += z.T @ z
        if not count.sum() > 0:
            raise ConfigError("mahalanobis cannot be fitted without labelled pixels: give labelled images")
        means = sums / count[:, None]
        seen = count > 0
        covariance = (scatter - (means[seen] * count[seen, None]).T @ means[seen]) / count.sum()
        covariance.diagonal().add_(shrinkage * covariance.diagonal().mean() + 1e-12)
        # Cov = L L^T, so |L^-1 (z - mean)|^2 is the distance.
        factor = torch.linalg.cholesky(covariance)
        eye = torch.eye(len(factor), dtype=factor.dtype)
        whitening = torch.linalg.solve_triangular(factor, eye, upper=False).T
        self.channels = len(factor)
        self.whitening, self.means = whitening.float(), (means @ whitening).float()
        self.means[~seen] = torch.inf

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`.

        Raises:
            ConfigError: The segmenter gives no features, or others than those that were fitted.
        """
        size = (image.shape[-2], image.shape[-1])
        segmentation = self.segmentation(image, labels)
        features = self.features_of(segmentation)
        if features.shape[1] != len(self.whitening):
            raise ConfigError(
                f"mahalanobis knows {len(self.whitening)} features and {self.segmenter.name} gives "
                f"{features.shape[1]}: train it with `oodseg train comparator`"
            )
        z = torch.einsum("bdhw,de->bhwe", features, self.whitening)
        gaps = [(z - mean).square().sum(-1) for mean in self.means]
        # Of a class that was never seen nothing is known: its pixels are as far as the farthest.
        distances = torch.stack(gaps, 1)
        distances = torch.where(distances.isinf(), distances.nan_to_num(posinf=0.0).amax(), distances)
        predicted = full_logits(segmentation, size).argmax(1)
        own = resize(distances, size).gather(1, predicted[:, None])[0, 0]
        return Measurement(predicted[0], own.clamp_min(1e-12).log())


def _pixels(features: Tensor, truth: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Features `[N, D]`, float64, and true classes `[N]` at evenly spread positions that have one."""
    height, width = features.shape[-2:]
    step = max(1, round((height * width / _POSITIONS) ** 0.5))
    rows, columns = torch.arange(0, height, step), torch.arange(0, width, step)
    at = [
        ((index + 0.5) * whole / part).long()
        for index, part, whole in zip((rows, columns), (height, width), truth.shape[-2:], strict=True)
    ]
    label = truth[at[0]][:, at[1]].flatten().long()
    z = features[0][:, rows][:, :, columns].flatten(1).T.double()
    known = label < classes
    return z[known], label[known]
