"""Sources of the score maps that a prompt generator learns on: a detector, or a folder (`given_scores`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.fingerprint import hash_stream
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, statistics_of
from oodseg.training.ordinary import known_images


@dataclass(frozen=True)
class Scored:
    """Normalised scores of a scene.

    Attributes:
        maps: Float `[H, W]` each; the first is the one that the generator will have to read.
        features: Image features behind the first, `[D, h, w]` each; empty if there are none.
    """

    maps: Sequence[Tensor]
    features: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Ordinary:
    """A real image in which nothing is unknown, as a generator sees it.

    Attributes:
        score: Normalised, float32 `[H, W]`.
        features: Image features `[1, C, h, w]`, or None.
    """

    score: Tensor
    features: tuple[Tensor, ...] | None = None


class ScoreSource(Protocol):
    """Gives normalised scores of scenes and of ordinary images."""

    @property
    def zoom(self) -> int:
        """Times the working size in which it wants to see the scenes of `zoomed_sizes`."""
        ...

    @property
    def scale(self) -> ScoreNormalizer | None:
        """The statistics by which the generator normalises scores; None for the detector's own."""
        ...

    @property
    def fingerprint(self) -> str:
        """Tells it from others that give other scores."""
        ...

    def scene(self, image: NDArray[np.uint8], name: str, zoom: int, further: bool) -> Scored:
        """Scores a scene.

        Args:
            image: uint8 `[zoom * H, zoom * W, 3]`, RGB.
            name: See `oodseg.training.scene_cache.scene_name`.
            zoom: 1, or its own.
            further: Whether other scores are wanted beside the first.
        """
        ...

    def ordinary(self, data_root: Path) -> Iterator[Ordinary]:
        """Scores the images of `OrdinaryStreets`."""
        ...


class DetectorScores:
    """The scores of a detector.

    Args:
        detector: Any; its `further_scores` are learned on too.

    Raises:
        ConfigError: It was never fitted.
    """

    scale: ScoreNormalizer | None = None

    def __init__(self, detector: Detector) -> None:
        self.detector, self._normalizer = detector, statistics_of(detector)

    @property
    def zoom(self) -> int:
        """See `ScoreSource`."""
        return self.detector.zoom

    @property
    def fingerprint(self) -> str:
        """See `ScoreSource`."""
        weights = (each.detach().float().cpu().numpy().tobytes() for each in self._tensors())
        statistics = f"{self.detector.name} {self._normalizer.mean!r} {self._normalizer.std!r}"
        return hash_stream(chain([statistics.encode()], weights))[:16]

    @torch.inference_mode()
    def scene(self, image: NDArray[np.uint8], name: str, zoom: int, further: bool) -> Scored:
        """See `ScoreSource`."""
        device = next((each.device for each in self._tensors()), torch.device("cpu"))
        seen = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
        sight = self.detector.look(seen, zoom)
        others = sorted(self.detector.further_scores(seen).items()) if further else []
        maps = [self._normalizer(sight.scores[0]), *(score[0] for _, score in others)]
        return Scored(maps, [each[0] for each in sight.features or ()])

    def ordinary(self, data_root: Path) -> Iterator[Ordinary]:
        """See `ScoreSource`."""
        for image, zoom in known_images(data_root, self.zoom):
            sight = self.detector.look(image, zoom)
            yield Ordinary(self._normalizer(sight.scores[0]), sight.features)

    def _tensors(self) -> list[Tensor]:
        module = self.detector
        return list(module.state_dict().values()) if isinstance(module, torch.nn.Module) else []
