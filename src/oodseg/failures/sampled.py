"""Judges a prediction by others of the same image: where they disagree, it is likely wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import Measurement, SegmenterAssessor
from oodseg.segmenters import Segmenter

QUALITIES = ("pairwise_dice", "confidence")
_TINY = 1e-7


class Sampled(SegmenterAssessor):
    """Holds what all judges have in common that draw several predictions; subclasses implement `samples`.

    The error is one minus the mean probability, over all predictions, of the class that is judged.

    Args:
        segmenter: The segmenter under test.
        calibration: See `SegmenterAssessor`.
        quality: What a class's quality is measured by: `"pairwise_dice"`, how well every two predictions
            agree on it (Roy et al., NeuroImage 2019; the strongest simple baseline of Zenk et al., Medical
            Image Analysis 2025), as an IoU; or `"confidence"`, one minus the mean error under it.

    Raises:
        ConfigError: A quality of another name.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
        quality: str = "pairwise_dice",
    ) -> None:
        super().__init__(segmenter, calibration)
        if quality not in QUALITIES:
            raise ConfigError(
                f"{self.name} has no quality '{quality}'; choose one of: {', '.join(QUALITIES)}"
            )
        self.quality = quality

    @abstractmethod
    def samples(self, image: Tensor) -> tuple[Tensor, Iterable[Tensor]]:
        """Predicts an image several times.

        Args:
            image: Float `[3, H, W]`, RGB in 0..1.

        Returns:
            The prediction to judge, integers `[H, W]`, and logits `[C, H, W]` of all predictions.
        """

    def measure(self, image: Tensor, labels: Tensor | None = None) -> Measurement:
        """See `SegmenterAssessor.measure`.

        Raises:
            ConfigError: Labels were handed in.
        """
        if labels is not None:
            raise ConfigError(f"{self.name} judges a network, not labels from elsewhere: choose consistency")
        predicted, samples = self.samples(image)
        total, drawn = torch.zeros(predicted.shape, device=predicted.device), []
        for logits in samples:
            total = total + logits.float().softmax(0).gather(0, predicted[None])[0]
            drawn.append(logits.argmax(0))
        score = -torch.logit(total / len(drawn), _TINY)
        if self.quality == "confidence":
            return Measurement(predicted, score)
        dice = pairwise_dice(torch.stack(drawn), len(self.classes))
        # A Dice of d is an IoU of d / (2 - d); a class that no other prediction has agrees with none.
        return Measurement(predicted, score, (dice / (2 - dice)).nan_to_num(0.0))


def pairwise_dice(labels: Tensor, classes: int) -> Tensor:
    """Computes the mean Dice of every two predictions, class by class.

    Args:
        labels: Integers `[M, H, W]`: M predictions of one image.
        classes: Number of classes C.

    Returns:
        Float32 `[C]` in 0..1, over the pairs of which at least one has the class; NaN where none has.
    """
    flat = labels.flatten(1)
    rows, columns = torch.triu_indices(len(flat), len(flat), 1)
    found = []
    for number in range(classes):
        masks = (flat == number).float()
        shared, area = masks @ masks.T, masks.sum(1)
        both = area[rows] + area[columns]
        found.append((2 * shared[rows, columns] / both)[both > 0].mean())
    return torch.stack(found)
