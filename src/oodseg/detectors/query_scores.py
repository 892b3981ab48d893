"""Mask queries to anomaly scores, as pure functions: for MaskFormer, Mask2Former, OneFormer, EoMT.

Higher means more anomalous. In all of them `q` counts the queries, `P_q` are a query's class
probabilities (softmax over the C known classes and "void") and `m_q` is its mask (sigmoid). Scores come at
the resolution of the masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.parts import MaskQueries

_SURE_CLASS, _SURE_MASK = 0.95, 0.5  # Mask2Anomaly's refinement
_REJECTS, _TOUCHES, _BLEND = 0.7, 0.1, 0.6  # Maskomaly: class confidence, mask at a border, weight


def class_scores(queries: MaskQueries) -> Tensor:
    """Computes `L_c` of `MaskQueries.class_scores`, checked, float `[B, C, h, w]`."""
    _check(queries)
    return queries.class_scores()


def rba(queries: MaskQueries) -> Tensor:
    """Computes RbA, rejected by all: `-sum_c tanh(L_c)`, -C..0 (Nayal et al., ICCV 2023).

    `L_c` is that of `class_scores`. High where no query claims the pixel for any class.

    Returns:
        Float `[B, h, w]`.
    """
    return -class_scores(queries).tanh().sum(1)


def mask2anomaly(queries: MaskQueries, background: Sequence[int] = ()) -> Tensor:
    """Computes one minus the best class, `1 - max_c L_c`, at most 1 (Rai et al., ICCV 2023).

    Args:
        queries: The mask queries.
        background: Indices of classes in which nothing unknown is looked for: the paper's refinement names
            all stuff but the road. Where the mask (at least 0.5) of a query that is sure of such a class
            (at least 0.95) lies, the score is 0.

    Returns:
        Float `[B, h, w]`.
    """
    score = 1 - class_scores(queries).amax(1)
    known = queries.classes.shape[-1] - 1
    if not all(isinstance(each, int) and 0 <= each < known for each in background):
        raise ConfigError(
            f"background takes class indices from 0 to {known - 1} for this segmenter, not {background!r}"
        )
    if not background:
        return score
    sure = queries.classes.softmax(-1)[..., list(background)].amax(-1) >= _SURE_CLASS
    covered = (sure[..., None, None] & (queries.masks.sigmoid() >= _SURE_MASK)).any(1)
    return torch.where(covered, 0.0, score)


def claims(queries: MaskQueries) -> Tensor:
    """Computes each query's claim on each pixel, with void: `m_q max_c P_q(c)`, `[B, Q, h, w]`, 0..1."""
    _check(queries)
    confidence = queries.classes.softmax(-1).amax(-1)
    return queries.masks.sigmoid() * confidence[..., None, None]


def maskomaly(queries: MaskQueries, quiet: Tensor) -> Tensor:
    """Scores what confident masks reject and quiet queries claim (Ackermann et al., BMVC 2023), 0..1.

    `0.6 R + 0.4 A`. Rejection: `R = min_q (1 - m_q max_c P_q(c))` over the queries whose likeliest class is
    known and has a probability above 0.7; 0 where the masks (above 0.1) of two queries with known classes
    meet, which removes the seams between objects. `A = max_q m_q max_c P_q(c)` over the quiet queries.
    Constants are those of the authors' release; its special treatment of two ground queries of one
    checkpoint is left out.

    Args:
        queries: The mask queries.
        quiet: Bool `[Q]`: queries that respond to unknown objects; `fitted.Maskomaly` finds them.

    Returns:
        Float `[B, h, w]`.
    """
    claimed = claims(queries)
    if quiet.shape != claimed.shape[1:2]:
        raise ConfigError(
            f"the query selection is of {quiet.numel()} queries, this segmenter has {claimed.shape[1]}: "
            "fit it with the same segmenter"
        )
    confidence, label = queries.classes.softmax(-1).max(-1)
    known = label < queries.classes.shape[-1] - 1
    sure = known & (confidence > _REJECTS)
    rejection = 1 - (claimed * sure[..., None, None]).amax(1)
    touching = (known[..., None, None] & (queries.masks.sigmoid() > _TOUCHES)).sum(1) >= 2
    rejection = torch.where(touching, 0.0, rejection)
    anomaly = (claimed * quiet[None, :, None, None]).amax(1)
    return _BLEND * rejection + (1 - _BLEND) * anomaly


def _check(queries: MaskQueries) -> None:
    classes, masks = queries.classes, queries.masks
    if classes.ndim != 3 or masks.ndim != 4 or classes.shape[:2] != masks.shape[:2] or classes.shape[2] < 2:
        raise ConfigError(
            "mask queries need classes [B, Q, C + 1] and masks [B, Q, h, w] of the same B and Q, not "
            f"{list(classes.shape)} and {list(masks.shape)}"
        )
