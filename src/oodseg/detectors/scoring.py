"""One way to look at every score: built by name and options, called on what a segmenter says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation
from oodseg.core.registry import resolve
from oodseg.detectors.scores import SCORES

_GIVERS = {"queries": "a mask classifier", "features": "a segmenter that hands out its features"}


class Score(nn.Module):
    """Turns what a segmenter says into an anomaly score; higher = more anomalous.

    A module, so that what it has learned is saved with the pipeline.

    Attributes:
        name: Key in `SCORES`.
        needs: What it reads: `"logits"`, `"features"` (and logits) or `"queries"`.
        options: The constructor's arguments, JSON-able.
    """

    name = ""
    needs = "logits"

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """Scores a batch.

        Args:
            segmentation: What the segmenter says; `check_needs` has passed.
            size: Height and width of the pictures, for scores that work in their pixels.

        Returns:
            Float `[B, h, w]` of any resolution covering the pictures.
        """
        raise NotImplementedError

    @property
    def config(self) -> str | dict[str, Any]:
        """Name, or name and options: what `build_score` takes."""
        return {"name": self.name, **self.options} if self.options else self.name


class FunctionScore(Score):
    """A pure function of the logits or of the mask queries, with its options.

    Args:
        name: Key in `SCORES`.
        function: Its first parameter is the logits, or the mask queries if it is called `queries`.
        options: Its other arguments.
    """

    def __init__(self, name: str, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__(**options)
        self.name, self.needs, self._function = name, _needs(function), function

    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`."""
        if self.needs == "queries":
            return self._function(segmentation.queries, **self.options)
        return self._function(segmentation.logits.float(), **self.options)


class FittedScore(Score):
    """A score that learns statistics on pictures in which nothing is unknown.

    Statistics are buffers that are empty until fitted and take any shape when loaded.

    Attributes:
        statistics: Names of the buffers.
    """

    statistics: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in self.statistics:
            self.register_buffer(name, torch.empty(0))

    @property
    def fitted(self) -> bool:
        """Whether there are statistics."""
        return all(getattr(self, name).numel() > 0 for name in self.statistics)

    def fit(self, segmentations: Iterable[Segmentation]) -> None:
        """Learns the statistics in one pass and bounded memory.

        Args:
            segmentations: What the segmenter says about in-distribution pictures, in batches of any size.

        Raises:
            ScoreMapError: Nothing to learn from.
        """
        raise NotImplementedError

    def evaluate(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """`Score.forward` of a fitted score."""
        raise NotImplementedError

    def forward(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """See `Score.forward`.

        Raises:
            ConfigError: There are no statistics yet.
        """
        if not self.fitted:
            raise ConfigError(
                f"the score '{self.name}' has no statistics yet: fit them on pictures in which nothing is "
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
                setattr(self, name, torch.empty_like(loaded, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def build_score(score: str | Mapping[str, Any] | Score) -> Score:
    """Builds a score.

    Args:
        score: Name in `SCORES` (or of an entry point `oodseg.scores`), a mapping of `"name"` and options such
            as `{"name": "energy", "temperature": 2.0}`, or a score.

    Raises:
        ConfigError: No such score, or no such option.
    """
    if isinstance(score, Score):
        return score
    options = {"name": score} if isinstance(score, str) else dict(score)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f'a score is given by its name or as {{"name": ..., options}}, not as {score!r}')
    maker = _maker(name)
    is_class = isinstance(maker, type)
    known = list(inspect.signature(maker).parameters)[0 if is_class else 1 :]
    wrong = [option for option in options if option not in known]
    if wrong:
        raise ConfigError(
            f"the score '{name}' has no option '{wrong[0]}'; it takes {', '.join(known) or 'none'}"
        )
    built: Score = maker(**options) if is_class else FunctionScore(name, maker, **options)
    return built


def check_needs(score: Score, segmentation: Segmentation, segmenter: str) -> None:
    """Checks that a segmenter gives what a score reads.

    Raises:
        ConfigError: It does not; the message lists the scores that work.
    """
    if getattr(segmentation, score.needs) is not None:
        return
    usable = [name for name in SCORES if getattr(segmentation, _needs(_maker(name))) is not None]
    gives = "mask queries" if score.needs == "queries" else score.needs
    raise ConfigError(
        f"{score.name} needs {_GIVERS[score.needs]}; {segmenter} gives no {gives}: "
        f"choose one of: {', '.join(sorted(usable))}"
    )


def _maker(name: str) -> Callable[..., Any]:
    maker = SCORES.get(name)
    if callable(maker):
        return maker
    found: Callable[..., Any] = resolve(cast("Mapping[str, str]", SCORES), "scores", name)
    return found


def _needs(maker: Callable[..., Any]) -> str:
    if isinstance(maker, type):
        needs: str = maker.needs  # type: ignore[attr-defined]
        return needs
    return "queries" if next(iter(inspect.signature(maker).parameters)) == "queries" else "logits"
