"""Lists all anomaly scores.

Higher means more anomalous, everywhere. Scores that are plain functions of the logits are in
`oodseg.nn.uncertainty`, scores of mask classifiers in `query_scores`, scores that learn statistics first in
`fitted`, `sml` and `mahalanobis`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.nn.uncertainty import check_logits, energy, entropy, max_logit, msp, softmax_entropy


def kl_to_templates(logits: Tensor, templates: Tensor) -> Tensor:
    """Computes the divergence from the nearest class template, `min_k KL(P || d_k)`, in nats, 0 or more.

    KL matching of Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings" (ICML
    2022): a known pixel's class probabilities P look like those that its class usually has.

    Args:
        logits: Float `[B, C, ...]`.
        templates: Float `[K, C]`, rows sum to 1: the usual probabilities of K classes.
    """
    check_logits(logits)
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

# Functions of logits that the same probabilities do not decide; classes say so themselves (`Score.absolute`).
ABSOLUTE: set[Callable[..., Any]] = {energy, max_logit}
