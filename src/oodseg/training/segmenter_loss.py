"""The loss of the street network.

Cross-entropy on the classes; on pasted objects cross-entropy to the uniform distribution, which raises their
entropy (Meta-OoD: Chan et al., ICCV 2021, Eq. 3); on the objectness head binary cross-entropy and soft Dice
over unknown against everything else.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.taxonomy import IGNORE


def street_loss(
    logits: Tensor, objectness: Tensor, labels: Tensor, unknown: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Computes the parts of the loss, unweighted.

    Args:
        logits: Float `[B, 7, H/4, W/4]`.
        objectness: Float `[B, H/2, W/2]`.
        labels: uint8 `[B, H, W]`, 0..6 or 255.
        unknown: uint8 `[B, H, W]`, 0, index of an object, or 255.
        weights: Float `[B, H, W]` of `pixel_weights`.

    Returns:
        `"classes"`, `"uniform"`, `"objects"` (binary cross-entropy) and `"dice"`, all scalar.
    """
    logits, objectness = logits.float(), objectness.float()
    coarse = labels[:, 2::4, 2::4].long()
    # A mean over no pixel would be NaN: dividing the sum instead gives 0.
    known = (coarse != IGNORE).sum().clamp_min(1)
    classes = F.cross_entropy(logits, coarse, ignore_index=IGNORE, reduction="sum") / known
    strange = unknown[:, 2::4, 2::4]
    strange = ((strange > 0) & (strange < IGNORE)).float()
    to_uniform = torch.logsumexp(logits, 1) - logits.mean(1)
    uniform = (to_uniform * strange).sum() / strange.sum().clamp_min(1)
    fine, weight = unknown[:, 1::2, 1::2], weights[:, 1::2, 1::2]
    target = ((fine > 0) & (fine < IGNORE)).float()
    entropy = F.binary_cross_entropy_with_logits(objectness, target, weight, reduction="sum")
    probability = objectness.sigmoid()
    shared = (probability * target * weight).sum()
    dice = 1 - (2 * shared + 1) / ((probability * weight).sum() + (target * weight).sum() + 1)
    return {
        "classes": classes,
        "uniform": uniform,
        "objects": entropy / weight.sum().clamp_min(1),
        "dice": dice,
    }


def teacher_loss(
    logits: Tensor, objectness: Tensor, taught: Tensor, taught_objectness: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Computes how far a network is from its teacher (Hinton et al., 2015, at temperature 1), unweighted.

    Args:
        logits, taught: Float `[B, 7, H/4, W/4]`, of the network and of its teacher.
        objectness, taught_objectness: Float `[B, H/2, W/2]`, likewise.
        weights: Float `[B, H, W]` of `pixel_weights`. Pixels of weight 0 count here: a teacher has something
            to say where the truth is unknown.

    Returns:
        `"teacher_classes"` (Kullback-Leibler divergence), `"teacher_objects"` (binary cross-entropy) and
        `"teacher_scores"` (smooth L1 between the logits, which are the detector's score: entropies hardly see
        how they vary where nothing is unknown), all scalar.
    """
    wanted, found = taught.float().log_softmax(1), logits.float().log_softmax(1)
    classes = F.kl_div(found, wanted, reduction="none", log_target=True).sum(1).mean()
    weight = weights[:, 1::2, 1::2].clamp_min(0.5)
    score, wanted_score = objectness.float(), taught_objectness.float()
    objects = F.binary_cross_entropy_with_logits(score, wanted_score.sigmoid(), weight, reduction="sum")
    return {
        "teacher_classes": classes,
        "teacher_objects": objects / weight.sum(),
        "teacher_scores": F.smooth_l1_loss(score, wanted_score),
    }
