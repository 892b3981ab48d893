"""MSP smoothed by a dense CRF: neighbours of like colour are likely wrong together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor, full_logits, msp_log_odds
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter

_TINY = 1e-4  # from 0 and 1, of a probability


class CRF(SegmenterAssessor):
    """Runs a dense CRF of two labels, right and wrong, over one minus the maximum softmax probability.

    The baseline "MSP + CRF" of SynthCP (Xia et al., ECCV 2020, Table 3). P. Krähenbühl, V. Koltun, "Efficient
    Inference in Fully Connected CRFs with Gaussian Edge Potentials", NeurIPS 2011, arXiv 1210.5644, Eq. 3 and
    Algorithm 1. Every pixel is joined with every other; what differs is that the sums are exact, on a
    smaller image, in place of the paper's lattice.

    Args:
        segmenter: The segmenter under test.
        calibration: See `SegmenterAssessor`.
        steps: Mean-field iterations.
        long_side: Long side in pixels of the smaller image; time grows with its fourth power.
        smoothness, smoothness_side: Weight of the kernel of places alone, and its width in pixels of the
            smaller image.
        appearance, appearance_side, appearance_colour: Weight of the kernel of places and colours, its width
            in pixels of the smaller image, and in colour, 0..1.

    Raises:
        ConfigError: No step, a side under 8, or a width of 0 or less.
    """

    name = "crf"

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
        steps: int = 5,
        long_side: int = 80,
        smoothness: float = 1.0,
        smoothness_side: float = 1.0,
        appearance: float = 1.0,
        appearance_side: float = 10.0,
        appearance_colour: float = 0.05,
    ) -> None:
        super().__init__(segmenter, calibration)
        if steps < 1 or long_side < 8 or min(smoothness_side, appearance_side, appearance_colour) <= 0:
            raise ConfigError(
                "the dense CRF takes a step or more, a long side of 8 pixels or more, and widths above 0"
            )
        self.steps, self.long_side = steps, long_side
        self.smoothness, self.smoothness_side = smoothness, smoothness_side
        self.appearance = appearance
        self.appearance_side, self.appearance_colour = appearance_side, appearance_colour

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`."""
        size = (image.shape[-2], image.shape[-1])
        logits = full_logits(self.segmentation(image, labels), size)
        odds = msp_log_odds(logits)
        scale = min(1.0, self.long_side / max(size))
        small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        wrong = resize(odds.sigmoid()[None], small, antialias=scale < 1)[0, 0].clamp(_TINY, 1 - _TINY)
        seen = resize(image[None].float(), small, antialias=scale < 1)[0]
        inferred = mean_field(
            torch.logit(wrong),
            [
                (self.smoothness, places(small, self.smoothness_side).to(seen)),
                (
                    self.appearance,
                    torch.cat(
                        [
                            places(small, self.appearance_side).to(seen),
                            seen.flatten(1).T / self.appearance_colour,
                        ],
                        1,
                    ),
                ),
            ],
            self.steps,
        )
        # What the CRF changed is smooth; the detail of the logits stays.
        change = resize((inferred - torch.logit(wrong))[None, None], size)[0, 0]
        return Measurement(logits.argmax(1)[0], odds[0] + change)


def places(size: tuple[int, int], width: float) -> Tensor:
    """Lists rows and columns of all pixels of an image over a kernel's width: float `[H * W, 2]`."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([rows.flatten(), columns.flatten()], 1) / width


def mean_field(odds: Tensor, kernels: list[tuple[float, Tensor]], steps: int) -> Tensor:
    """Infers a dense CRF of two labels with Gaussian kernels and Potts compatibility.

    `l_i <- odds_i + sum_k w_k sum_{j != i} K_k(i, j) (2 q_j - 1) / sum_{j != i} K_k(i, j)`, with
    `q = sigmoid(l)` and `K(i, j) = exp(-|f_i - f_j|^2 / 2)`: the update of Krähenbühl & Koltun for log-odds,
    every pixel's messages normalised by their sum, as in their released code.

    Args:
        odds: Log-odds of the second label, float `[H, W]`.
        kernels: Weight and features, float `[H * W, D]`, of every kernel.
        steps: Iterations.

    Returns:
        Log-odds after the last one, float32 `[H, W]`.
    """
    unary = odds.float().flatten()
    joined = torch.zeros(len(unary), len(unary), device=odds.device)
    for weight, features in kernels:
        near = torch.exp(-F.relu(_squared_distances(features.float())) / 2).fill_diagonal_(0)
        joined += weight * near / near.sum(1, keepdim=True).clamp_min(1e-12)
    found = unary
    for _ in range(steps):
        found = unary + joined @ (2 * found.sigmoid() - 1)
    return found.view(odds.shape)


def _squared_distances(features: Tensor) -> Tensor:
    norms = features.square().sum(1)
    return norms[:, None] + norms[None] - 2 * features @ features.T
