"""Compares every label with how its pixels look in the very image: a score that needs no training."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.failures.detector import Measurement, SegmenterAssessor
from oodseg.failures.void import void_in
from oodseg.nn.smoothing import gaussian_blur
from oodseg.segmenters.given import GivenLabels

_FINE, _COARSE = 1.0, 0.006  # standard deviations at which the look is taken: pixels, of the longer side
_RIGHT = 0.9  # chance of a label to be right, before its pixel was looked at
_PULL = 100  # pixels that the look of the whole image counts for in that of a class
_NOISE = 1e-4  # variance that no look falls below, of 0..1
_REACH = 0.04  # of the longer side: from how far away a class may claim a pixel
_LOCAL = 0.5  # weight of the share of another class around a pixel, beside that in the image
_ROUNDS = 3  # of fitting, each by the labels as far as the one before believes them
_MOST = 16.0  # log-odds, as far as they go


class Consistency(SegmenterAssessor):
    """Doubts a pixel that looks more like another class of the same image than like its own.

    Every class's own pixels give a Gaussian of how it looks in this image: its colours at two scales. With
    the share of the others around a pixel, and in the image, as their prior, Bayes' rule says how likely its
    label is; the Gaussians are fitted again by the labels that are likely. Nothing is learned beforehand, so
    that it judges labels of any classes, of photographs and of slices of scans; and as nothing is calibrated
    either, its figures order images and pixels and are no shares of errors. It does not see a class that is
    wrong as a whole, nor classes that look alike.
    """

    name = "consistency"
    knows_void = True

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        predicted = self._labels(image, labels)
        void = None if labels is None else void_in(predicted, len(self.classes))
        odds = label_log_odds(image, predicted, void)
        return Measurement(predicted if void is None else predicted.masked_fill(void, 0), odds)

    def _labels(self, image: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or not isinstance(self.segmenter, GivenLabels):
            logits = self.segmentation(image, labels).logits
            return F.interpolate(logits.float(), image.shape[-2:], mode="bilinear").argmax(1)[0]
        if labels.shape != image.shape[-2:]:
            raise ConfigError(
                f"the labels are {list(labels.shape)} pixels and their image {list(image.shape[-2:])}: both "
                "must be of one size"
            )
        return labels.to(image.device).long()


def label_log_odds(image: Tensor, labels: Tensor, void: Tensor | None = None) -> Tensor:
    """Log-odds of every label being wrong, by the look of the pixels.

    Args:
        image: Float `[3, H, W]` in 0..1.
        labels: Integers `[H, W]`, of any values.
        void: Bool `[H, W]`: pixels that have no label, whatever is written there; None if all have one.

    Returns:
        Float32 `[H, W]`, within -16..16; -16 everywhere where there is one label only, and at void pixels.
    """
    present: Tensor = torch.unique(labels if void is None else labels[~void])
    if len(present) < 2:
        return torch.full(labels.shape, -_MOST, device=image.device)
    side = max(labels.shape)
    scales = _FINE, max(1.5 * _FINE, _COARSE * side)
    look = torch.cat([gaussian_blur(image.float(), scale) for scale in scales]).flatten(1)  # [F, N]
    overall = _covariance(look)
    sigma = max(1.0, _REACH * side)
    members = [labels == value if void is None else (labels == value) & ~void for value in present]
    shares = [_share_of(member, sigma) for member in members]
    odds = torch.full(labels.shape, -_MOST, device=image.device)
    for _ in range(_ROUNDS):
        believed = torch.sigmoid(-odds).flatten()
        own = torch.zeros(labels.shape, device=image.device)
        others, rest = torch.full_like(own, -torch.inf), torch.zeros_like(own)
        for here, share in zip(members, shares, strict=True):
            inside = here.flatten()
            likely = _log_likelihood(look, look[:, inside], believed[inside], overall).view(labels.shape)
            own[here] = likely[here]
            others = torch.logaddexp(others, (likely + share.log()).masked_fill(here, -torch.inf))
            rest += share.masked_fill(here, 0.0)
        # A small structure is no more doubtful than a large one: the others share what its label leaves them.
        odds = (others - rest.log() - own - math.log(_RIGHT / (1 - _RIGHT))).clamp(-_MOST, _MOST)
        odds = odds if void is None else odds.masked_fill(void, -_MOST)
    return odds


def _log_likelihood(look: Tensor, sample: Tensor, weights: Tensor, overall: Tensor) -> Tensor:
    """Half the log-density of every look, float `[N]`, by the Gaussian of a weighted sample `[F, M]`."""
    count = weights.sum()
    # A few pixels say little of how a class varies, and none at all say nothing of how it looks.
    mean = (sample @ weights + look.mean(1)) / (count + 1)
    centred = sample - mean[:, None]
    spread = ((centred * weights) @ centred.T + _PULL * overall) / (count + _PULL)
    root = torch.linalg.cholesky(spread + _NOISE * torch.eye(len(look), device=look.device))
    distance = torch.linalg.solve_triangular(root, look - mean[:, None], upper=False).square().sum(0)
    # Both scales say nearly the same: the evidence counts half.
    found: Tensor = -0.5 * (0.5 * distance + root.diagonal().log().sum())
    return found


def _covariance(look: Tensor) -> Tensor:
    centred = look - look.mean(1, keepdim=True)
    return centred @ centred.T / look.shape[1]


def _share_of(mask: Tensor, sigma: float) -> Tensor:
    """Share of a mask around every pixel and in the image, float `[H, W]` above 0."""
    step = max(1, int(sigma / 4))  # wide smoothing is done on a smaller map
    small = F.avg_pool2d(mask[None].float(), step, ceil_mode=True)
    smooth = gaussian_blur(small, sigma / step)
    around: Tensor = F.interpolate(smooth[None], mask.shape, mode="bilinear")[0, 0]
    return _LOCAL * around + (1 - _LOCAL) * mask.float().mean()
