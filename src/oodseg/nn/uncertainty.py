"""Measures the uncertainty of class logits, as pure functions.

`logits` is float `[B, C, ...]` with the C known classes in dimension 1; the result is float `[B, ...]`.
Higher means more uncertain, everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError


def check_logits(logits: Tensor) -> None:
    """Checks that logits have a class dimension of two or more.

    Raises:
        ConfigError: They do not.
    """
    if logits.ndim < 2 or logits.shape[1] < 2:
        raise ConfigError(
            f"scores need logits [B, C, ...] of at least two classes, not {tuple(logits.shape)}"
        )


def entropy(logits: Tensor, normalized: bool = False) -> Tensor:
    """Computes the entropy of the class probabilities, `H = -sum_c P_c log2 P_c` (S2M, CVPR 2024, Eq. 1).

    Args:
        logits: Float `[B, C, ...]`.
        normalized: Divide by `log2 C`, which gives 0..1 as in the released code (natural logarithm over
            `log 19` there: the same).

    Returns:
        Bits in 0..log2 C, or 0..1.
    """
    check_logits(logits)
    log_p = F.log_softmax(logits, 1)
    # p log p -> 0 as p -> 0; logits of -inf would give 0 * -inf.
    nats = (-torch.where(log_p == -torch.inf, 0.0, log_p.exp() * log_p).sum(1)).clamp_min(0)
    return nats / math.log(logits.shape[1] if normalized else 2)


def softmax_entropy(logits: Tensor) -> Tensor:
    """Computes the normalised entropy `-sum_c P_c log P_c / log C`, 0..1 (Meta-OoD: Chan et al., ICCV 2021).

    The score of Meta-OoD is the entropy S2M's release uses too; what sets the method apart is the network:
    it is trained towards high entropy on outliers.
    """
    return entropy(logits, normalized=True)


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Computes the free energy `-T logsumexp(f / T)` (Liu et al., NeurIPS 2020; S2M, CVPR 2024, Eq. 2).

    The paper prints `-T sum_c exp(f_c / T)`, without the logarithm. Its released code, PEBAL and RPL
    compute the logarithm, and so do we: the two rank pixels alike, but without it a confident pixel's
    score runs to -1e8 and the map holds nothing but its extremes. The sign: large logits mean known,
    so the negative grows with anomaly.

    Args:
        logits: Float `[B, C, ...]`.
        temperature: T > 0.
    """
    check_logits(logits)
    if not (isinstance(temperature, int | float) and temperature > 0):
        raise ConfigError(f"the temperature of the energy score must be above 0, not {temperature}")
    return -temperature * torch.logsumexp(logits / temperature, 1)


def msp(logits: Tensor) -> Tensor:
    """Computes one minus the maximum softmax probability, 0..1 - 1/C (Hendrycks & Gimpel, ICLR 2017)."""
    check_logits(logits)
    return 1 - F.softmax(logits, 1).amax(1)


def max_logit(logits: Tensor) -> Tensor:
    """Computes the negative maximum logit (Hendrycks et al., ICML 2022)."""
    check_logits(logits)
    return -logits.amax(1)
