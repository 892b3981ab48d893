"""What every failure detector shares: a segmenter under test, a measurement, and its calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodseg.core.parts import Assessment
from oodseg.failures.calibration import Calibration
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmentation, Segmenter, make_segmenter


@dataclass(frozen=True)
class Measurement:
    """What a detector measures on one picture, not calibrated yet.

    Attributes:
        labels: Integers `[H, W]`: the prediction.
        score: Float `[H, W]`: log-odds of being wrong, or any score that grows with them.
        quality: Float `[C]` in 0..1 of every class; None for the mean confidence under each class.
        resynthesis: Float `[3, h, w]` in 0..1, or None.
    """

    labels: Tensor
    score: Tensor
    quality: Tensor | None = None
    resynthesis: Tensor | None = None


class SegmenterAssessor(nn.Module):
    """A failure detector around a segmenter; one kind of it says how to `measure`.

    Args:
        segmenter: The segmenter under test; or `{"name": ..., "config": {...}}` to build it.
        calibration: Fits of `oodseg.failures.calibration`, as that class or its entries.
    """

    name = ""

    def __init__(
        self,
        segmenter: Segmenter | Mapping[str, Any],
        calibration: Calibration | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.segmenter = make_segmenter(segmenter)
        self.classes = tuple(self.segmenter.classes)
        if isinstance(calibration, Mapping):
            calibration = Calibration(**calibration)
        self.calibration = calibration or Calibration()
        self.eval()

    @property
    def config(self) -> dict[str, Any]:
        """JSON-able constructor arguments."""
        segmenter = {"name": self.segmenter.name, "config": self.segmenter.config}
        return {"segmenter": segmenter, "calibration": asdict(self.calibration)}

    def measure(self, image: Tensor) -> Measurement:
        """Measures one picture, float `[3, H, W]` in 0..1."""
        raise NotImplementedError

    @torch.inference_mode()
    def assess(self, image: Tensor) -> Assessment:
        """Assesses one picture; see `FailureDetector.assess`."""
        found = self.measure(image)
        labels = found.labels.cpu().numpy().astype(np.uint8)
        error = self.calibration.error(found.score.float().cpu().numpy())
        quality = self.calibration.quality(self.class_measure(found))
        return Assessment(
            labels=labels,
            error=error,
            resynthesis=_as_picture(found.resynthesis, labels.shape),
            class_iou=quality,
            mean_iou=self.calibration.mean_quality(quality),
        )

    def class_measure(self, found: Measurement) -> NDArray[np.float64]:
        """What the measurement says of every class: float `[C]`, NaN where a class is not predicted."""
        count = len(self.classes)
        flat = found.labels.flatten().long()
        pixels = torch.bincount(flat, minlength=count)[:count].double()
        if found.quality is not None:
            values = found.quality.double()
        else:
            right = torch.from_numpy(1 - self.calibration.error(found.score.float().cpu().numpy()))
            sums = torch.zeros(count, dtype=torch.float64)
            values = sums.index_add(0, flat.cpu(), right.flatten().double()) / pixels.cpu()
        values, pixels = values.cpu(), pixels.cpu()
        return torch.where(pixels > 0, values, torch.nan).numpy()


def full_logits(segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
    """Logits `[B, C, H, W]` at the picture's own size, float32."""
    return resize(segmentation.logits.float(), size)


def msp_log_odds(logits: Tensor) -> Tensor:
    """Log-odds of the predicted class being wrong, `log((1 - p) / p)` with p its softmax probability.

    Exact where p is so near to 1 that `1 - p` would be rounded to zero.

    Args:
        logits: Float `[B, C, H, W]`.

    Returns:
        Float `[B, H, W]`.
    """
    top = logits.max(1, keepdim=True)
    others = logits.scatter(1, top.indices, -torch.inf)
    return torch.logsumexp(others, 1) - top.values[:, 0]


def build_part(maker: Callable[..., Any], given: Any) -> Any:
    """A part from its constructor arguments; one that is built already is handed back."""
    return maker(**given) if isinstance(given, Mapping) else given


def _as_picture(resynthesis: Tensor | None, size: tuple[int, ...]) -> NDArray[np.uint8] | None:
    if resynthesis is None:
        return None
    full = resize(resynthesis[None].float(), size[:2])[0]
    return (full * 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
