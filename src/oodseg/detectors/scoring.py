"""One way to look at every score: built by name and options, called on a segmenter's output."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Fittable, Segmentation
from oodseg.core.registry import names, resolve
from oodseg.detectors.scores import ABSOLUTE, SCORES
from oodseg.segmenters.conventions import check_absolute

_GIVERS = {"queries": "a mask classifier", "features": "a segmenter that hands out its features"}


class Score(ModulePart):
    """Turns a segmenter's output into an anomaly score; higher = more anomalous.

    A module, so that what it has learned is saved with the pipeline.

    Attributes:
        name: Key in `SCORES`.
        needs: What it reads: `"logits"`, `"features"` (and logits) or `"queries"`.
        absolute: Whether the height of logits decides it, which a softmax takes from them.
    """

    name = ""
    needs = "logits"
    absolute = False

    @abstractmethod
    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """Scores a batch.

        Args:
            segmentation: The segmenter's output; `check_needs` has passed.
            size: Height and width of the images, for scores that work in their pixels.

        Returns:
            Float `[B, h, w]` of any resolution covering the images.
        """


class FunctionScore(Score):
    """A pure function of the logits or of the mask queries, with its options.

    Args:
        name: Key in `SCORES`.
        function: Its first parameter is the logits, or the mask queries if it is called `queries`.
        options: Its other arguments.
    """

    def __init__(self, name: str, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.name, self.needs, self._function = name, _needs(function), function
        self.absolute = function in ABSOLUTE
        self.options = options

    def arguments(self) -> dict[str, Any]:
        """Returns the function's own arguments."""
        return self.options

    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`."""
        if self.needs == "queries":
            return self._function(segmentation.queries, **self.options)
        return self._function(segmentation.logits.float(), **self.options)


class FittedScore(Score, Fittable):
    """A score that learns statistics on images in which nothing is unknown.

    Statistics are buffers that are empty until fitted and take any shape when loaded.

    Attributes:
        statistics: Names of the buffers.
    """

    statistics: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        for name in self.statistics:
            self.register_buffer(name, torch.empty(0))

    @property
    def fitted(self) -> bool:
        """True if there are statistics."""
        return all(self.get_buffer(name).numel() > 0 for name in self.statistics)

    @abstractmethod
    def fit(self, batches: Iterable[Segmentation]) -> None:
        """Learns the statistics in one pass and bounded memory.

        Args:
            batches: The segmenter's output on in-distribution images, in batches of any size.

        Raises:
            ScoreMapError: Nothing to learn from.
        """

    @abstractmethod
    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """Computes `Score.forward` of a fitted score."""

    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`.

        Raises:
            ConfigError: There are no statistics yet.
        """
        if not self.fitted:
            raise ConfigError(
                f"the score '{self.name}' has no statistics yet: fit them on images in which nothing is "
                "unknown with `oodseg fit`, or with LogitDetector.fit"
            )
        return self.evaluate(segmentation, size)

    def _keep(self, **statistics: Tensor) -> None:
        for name, value in statistics.items():
            # A copy, because what is made under inference mode cannot be loaded over; laid out as it will be
            # after loading, so that sums run in the same order and give the same bits.
            setattr(self, name, value.detach().clone(memory_format=torch.contiguous_format))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.statistics:
            loaded = state_dict.get(prefix + name)
            if isinstance(loaded, Tensor):
                setattr(self, name, torch.empty_like(loaded, device=self.get_buffer(name).device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def build_score(score: str | Mapping[str, Any] | Score) -> Score:
    """Builds a score; see `oodseg.core.build.build`."""
    built: Score = build("scores", score)
    return built


def score_maker(name: str, registered: Callable[..., Any]) -> Callable[..., Score]:
    """Turns what was registered under `oodseg.scores` into a builder that takes the score's options.

    Args:
        name: What it was registered under.
        registered: A `Score` class; or a function, see `FunctionScore`.
    """
    if isinstance(registered, type):
        return registered

    def make(**options: Any) -> Score:
        return FunctionScore(name, registered, **options)

    known = list(inspect.signature(registered).parameters.values())[1:]
    make.__signature__ = inspect.Signature(known)  # type: ignore[attr-defined]
    return make


def check_needs(score: Score, segmentation: Segmentation, segmenter: str) -> None:
    """Checks that a segmenter gives what a score reads.

    Raises:
        ConfigError: It does not; the message lists the scores that work.
    """
    if segmentation.gives(score.needs):
        if score.absolute:
            check_absolute(score.name, segmentation, ("msp", "entropy", "kl_matching"))
        return
    usable = [name for name in names("scores") if segmentation.gives(_needs(resolve(SCORES, "scores", name)))]
    gives = "mask queries" if score.needs == "queries" else score.needs
    raise ConfigError(
        f"{score.name} needs {_GIVERS[score.needs]}; {segmenter} gives no {gives}: "
        f"choose one of: {', '.join(usable)}"
    )


def _needs(registered: Callable[..., Any]) -> str:
    """Tells what a class or function registered under `oodseg.scores` reads."""
    if isinstance(registered, type) and issubclass(registered, Score):
        return registered.needs
    return "queries" if next(iter(inspect.signature(registered).parameters)) == "queries" else "logits"
