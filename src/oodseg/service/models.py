"""The models that the service runs, and what it tells of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.core.guarantee import CALIBRATED
from oodseg.core.parts import OPERATING_POINTS
from oodseg.core.version import __version__
from oodseg.failures.loading import choose_failure_detector
from oodseg.io.images import to_tensor
from oodseg.pipeline import S2M
from oodseg.runs.loading import load
from oodseg.synth.drawn import draw_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.parts import Assessment, Judge, Sight
    from oodseg.core.prediction import Prediction
    from oodseg.service.settings import Settings

# False boxes aimed at per ordinary image.
_FALSE_BOXES = dict(zip(OPERATING_POINTS, (0.1, 0.25, 1.0), strict=True))

_WARM_UP_SIZE = 720, 1280  # large enough for a closer look


@dataclass(frozen=True)
class Models:
    """A pipeline and a failure detector.

    Attributes:
        s2m: The pipeline; its operating point is changed by whoever runs it.
        judge: The failure detector; None if none was asked for.
        known: JSON-able: what tells results of this pipeline from those of others.
        usual: Operating point of requests that name none.
    """

    s2m: S2M
    judge: Judge | None
    known: dict[str, Any]
    usual: str

    @classmethod
    def load(cls, settings: Settings) -> Models:
        """Loads what the settings name.

        Raises:
            OodsegError: There is no such pipeline or failure detector, or no GPU.
        """
        s2m, known = load(
            settings.pipeline,
            device=settings.device,
            runtime=settings.runtime,
            operating_point=settings.operating_point,
        )
        assert isinstance(s2m, S2M)
        judge = (
            choose_failure_detector(settings.failures, device=settings.device) if settings.failures else None
        )
        return cls(s2m, judge, known, str(s2m.operating_point))

    @property
    def points(self) -> dict[str, float]:
        """Least confidence of a box at every operating point, the least ready first."""
        s2m = self.s2m
        with_features = s2m.detector is not None and bool(s2m.detector.feature_channels)
        found = {name: s2m.prompts.least_confidence(name, with_features) for name in OPERATING_POINTS}
        if s2m.guarantee is not None:
            found[CALIBRATED] = s2m.guarantee.least_confidence
        return found

    @property
    def readiest(self) -> str:
        """The operating point at which there are most boxes: those of the others are among them."""
        return min(reversed(self.points), key=self.points.__getitem__)

    def check_point(self, point: str) -> None:
        """Checks that there is such an operating point.

        Raises:
            ConfigError: There is none.
        """
        if point not in self.points:
            names = ", ".join(self.points)
            raise ConfigError(f"there is no operating point '{point}': choose one of {names}")

    def kept_by(self, confidence: float) -> list[str]:
        """Operating points at which a box of that confidence is proposed."""
        return [name for name, least in self.points.items() if confidence >= least]

    @property
    def brief(self) -> dict[str, str]:
        """Identifies the models in every result: name, version and checksum of the configuration."""
        return {
            "name": self.s2m.name,
            "version": __version__,
            "sha256": str(self.known.get("pipeline_sha256", "")),
        }

    def describe(self) -> dict[str, Any]:
        """All that is told of the models, JSON-able."""
        s2m = self.s2m
        points = {
            name: {"least_confidence": least, "false_boxes_per_image": _FALSE_BOXES.get(name)}
            for name, least in self.points.items()
        }
        parts = {"detector": s2m.detector, "prompts": s2m.prompts, "masks": s2m.masks}
        return {
            **self.brief,
            "device": s2m.device,
            "parts": {key: part.name for key, part in parts.items() if part is not None},
            "working_side": list(s2m.working_side),
            "operating_point": self.usual,
            "operating_points": points,
            "promise": None if s2m.guarantee is None else s2m.guarantee.promise(),
            "failures": None if self.judge is None else _describe_judge(self.judge),
        }

    def twin(self) -> Models:
        """Copies the models for another thread: weights are shared, all else that parts keep is not."""
        parts: tuple[Any, ...] = (self.s2m.detector, self.s2m.prompts, self.s2m.masks, self.judge)
        networks = [each for each in parts if isinstance(each, nn.Module)]
        tensors = chain.from_iterable(chain(each.parameters(), each.buffers()) for each in networks)
        return copy.deepcopy(self, {id(each): each for each in tensors})

    def warm_up(self) -> None:
        """Looks at a drawn street, so that the first request does not wait for what is made once only."""
        image = draw_scene(np.random.default_rng(0), _WARM_UP_SIZE).image
        self.find(image, self.readiest)
        if self.judge is not None:
            self.assess(image)

    def find(self, image: Any, point: str, sight: Sight | None = None) -> Prediction:
        """Finds the objects of an image; only one thread may call it at a time.

        Args:
            image: What the pipeline takes.
            point: Operating point.
            sight: What the detector saw of it already.
        """
        self.s2m.operating_point = point
        return self.s2m(image, sight=sight)

    def assess(self, image: NDArray[np.uint8]) -> Assessment:
        """Says where a segmentation of an image is likely wrong; there is a failure detector."""
        assert self.judge is not None
        return self.judge.assess(to_tensor(image).to(self.s2m.device))


def _describe_judge(judge: Judge) -> dict[str, Any]:
    found = judge.intervals
    return {
        "name": judge.name,
        "classes": list(judge.classes),
        "interval": None if found is None else {"level": found.level, "promise": found.promise()},
    }
