"""Context-robust contrastive learning (CoroCL: Liu et al., ICCV 2023, arXiv 2211.14512, Sec. 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_VIEWS = 512  # embeddings of each kind at most


def info_nce(
    anchors: Tensor, unknown: Tensor, others: Tensor, others_unknown: Tensor, temperature: float = 0.1
) -> Tensor:
    """Computes InfoNCE over every pair of a kind: outliers attract outliers, inliers inliers, in any context.

    For an anchor i with the others j of its kind, itself left out,
    `-mean_j log(exp s_ij / (exp s_ij + sum_k exp s_ik))`, where k runs over the others of the other kind and
    `s = a . b / temperature`; the mean over all anchors.

    Args:
        anchors: Unit vectors, float `[N, D]`; they are the first N of `others`.
        unknown: Bool `[N]`: which are of outliers.
        others: Unit vectors, float `[M, D]`.
        others_unknown: Bool `[M]`.
        temperature: 0.1 in the release.
    """
    similarity = anchors @ others.T / temperature
    same = unknown[:, None] == others_unknown[None]
    negative = torch.logsumexp(similarity.masked_fill(same, -torch.inf), 1, keepdim=True)
    losses = torch.logaddexp(similarity, negative) - similarity
    same = same & ~torch.eye(len(anchors), len(others), dtype=torch.bool, device=same.device)
    return ((losses * same).sum(1) / same.sum(1)).mean()


def corocl(
    embedding: Tensor, inlier: Tensor, outlier: Tensor, elsewhere: Tensor, temperature: float = 0.1
) -> Tensor:
    """Contrasts outliers pasted into streets with those in images of their own, and what surrounds both.

    Of each of four kinds (outliers and inliers in streets, outliers and inliers elsewhere) as many pixels are
    drawn as there are of the rarest, at most 512; those in streets are the anchors. 0 where one is missing.

    Args:
        embedding: Float `[B, D, h, w]`; normalised here.
        inlier: Bool `[B, h, w]`.
        outlier: Bool `[B, h, w]`.
        elsewhere: Bool `[B]`: images that are no streets.
        temperature: See `info_nce`.
    """
    pixels = F.normalize(embedding, dim=1).movedim(1, -1)
    away = elsewhere[:, None, None]
    places = (outlier & ~away, inlier & ~away, outlier & away, inlier & away)
    count = min(_VIEWS, *(int(each.sum()) for each in places))
    if count < 2:
        return embedding.sum() * 0.0  # a single one has no other of its kind
    kinds = [_draw(pixels[place], count) for place in places]
    unknown = torch.tensor([True, False, True, False], device=embedding.device).repeat_interleave(count)
    return info_nce(torch.cat(kinds[:2]), unknown[: 2 * count], torch.cat(kinds), unknown, temperature)


def _draw(pixels: Tensor, count: int) -> Tensor:
    return pixels[torch.randperm(len(pixels), device=pixels.device)[:count]]
