"""Class logits to anomaly scores, as pure functions, and the list of all scores there are.

Higher means more anomalous, everywhere. In the functions here `logits` is float `[B, C, ...]` with the C
known classes in dimension 1, and the result is float `[B, ...]`. Scores of mask classifiers are in
`query_scores`, scores that learn statistics first in `fitted`, `sml` and `mahalanobis`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError


def entropy(logits: Tensor, normalized: bool = False) -> Tensor:
    """Entropy of the class probabilities, `H = -sum_c P_c log2 P_c` (S2M, CVPR 2024, Eq. 1).

    Args:
        logits: Float `[B, C, ...]`.
        normalized: Divide by `log2 C`, which gives 0..1 as in the released code (natural logarithm over
            `log 19` there: the same).

    Returns:
        Bits in 0..log2 C, or 0..1.
    """
    _check(logits)
    log_p = F.log_softmax(logits, 1)
    # p log p -> 0 as p -> 0; logits of -inf would give 0 * -inf.
    nats = (-torch.where(log_p.isneginf(), 0.0, log_p.exp() * log_p).sum(1)).clamp_min(0)
    return nats / math.log(logits.shape[1] if normalized else 2)


def softmax_entropy(logits: Tensor) -> Tensor:
    """Normalised entropy `-sum_c P_c log P_c / log C`, 0..1 (Meta-OoD: Chan et al., ICCV 2021).

    The score of Meta-OoD is the entropy S2M's release uses too; what sets the method apart is the network:
    it is trained towards high entropy on outliers.
    """
    return entropy(logits, normalized=True)


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Free energy `-T logsumexp(f / T)` (Liu et al., NeurIPS 2020; S2M, CVPR 2024, Eq. 2).

    The paper prints `-T sum_c exp(f_c / T)`, without the logarithm. Its released code, PEBAL and RPL
    compute the logarithm, and so do we: the two rank pixels alike, but without it a confident pixel's
    score runs to -1e8 and the map holds nothing but its extremes. The sign: large logits mean known,
    so the negative grows with anomaly.

    Args:
        logits: Float `[B, C, ...]`.
        temperature: T > 0.
    """
    _check(logits)
    if not (isinstance(temperature, int | float) and temperature > 0):
        raise ConfigError(f"the temperature of the energy score must be above 0, not {temperature}")
    return -temperature * torch.logsumexp(logits / temperature, 1)


def msp(logits: Tensor) -> Tensor:
    """One minus the maximum softmax probability, 0..1 - 1/C (Hendrycks & Gimpel, ICLR 2017)."""
    _check(logits)
    return 1 - F.softmax(logits, 1).amax(1)


def max_logit(logits: Tensor) -> Tensor:
    """Negative maximum logit (Hendrycks et al., ICML 2022)."""
    _check(logits)
    return -logits.amax(1)


def kl_to_templates(logits: Tensor, templates: Tensor) -> Tensor:
    """Divergence from the nearest class template, `min_k KL(P || d_k)`, in nats, 0 or more.

    KL matching of Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings" (ICML
    2022): a known pixel's class probabilities P look like those that its class usually has.

    Args:
        logits: Float `[B, C, ...]`.
        templates: Float `[K, C]`, rows sum to 1: the usual probabilities of K classes.
    """
    _check(logits)
    if templates.ndim != 2 or templates.shape[1] != logits.shape[1]:
        raise ConfigError(
            f"templates of shape {list(templates.shape)} do not fit logits of {logits.shape[1]} classes: "
            "fit them with the same segmenter"
        )
    log_p = F.log_softmax(logits, 1)
    p = log_p.exp()
    self_information = torch.where(p > 0, p * log_p, 0.0).sum(1)
    # A class that a template rules out entirely would make the score infinite.
    log_templates = templates.to(logits.dtype).clamp_min(torch.finfo(torch.float32).tiny).log()
    cross = torch.einsum("kc,bc...->bk...", log_templates, p)
    return (self_information - cross.amax(1)).clamp_min(0)


# How each score is made: a function of the logits (or, if its first parameter is called `queries`, of the
# mask queries) whose other parameters are its options, or a `Score` class whose constructor takes them.
SCORES: dict[str, str | Callable[..., Any]] = {
    "entropy": entropy,
    "softmax_entropy": softmax_entropy,
    "energy": energy,
    "msp": msp,
    "max_logit": max_logit,
    "sml": "oodseg.detectors.sml:SML",
    "kl_matching": "oodseg.detectors.fitted:KLMatching",
    "mahalanobis": "oodseg.detectors.mahalanobis:Mahalanobis",
    "rba": "oodseg.detectors.query_scores:rba",
    "mask2anomaly": "oodseg.detectors.query_scores:mask2anomaly",
    "maskomaly": "oodseg.detectors.fitted:Maskomaly",
}


def _check(logits: Tensor) -> None:
    if logits.ndim < 2 or logits.shape[1] < 2:
        raise ConfigError(
            f"scores need logits [B, C, ...] of at least two classes, not {tuple(logits.shape)}"
        )
