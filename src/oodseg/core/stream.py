"""Predictions of many images, made one after the other as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar, get_args

from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.core.input_warnings import warn_input

ResultT = TypeVar("ResultT")
OnError = Literal["raise", "skip", "return"]
"""What happens with an image that cannot be used: its error ends the iteration; it is left out, with an
`InputWarning`; or its error takes the place of its result."""


class Stream(Iterator[ResultT]):
    """An iterator that knows how many images it was given.

    `len` is that number, however many have been taken already, so that a progress bar can be drawn; of what
    nobody can count beforehand there is none.

    Args:
        results: The results, made as they are asked for.
        total: Number of images; None if unknown.
    """

    def __init__(self, results: Iterator[ResultT], total: int | None) -> None:
        self._results, self._total = results, total

    def __next__(self) -> ResultT:
        return next(self._results)

    def __len__(self) -> int:
        if self._total is None:
            raise TypeError("nobody knows how many images there are: they come one by one")
        return self._total

    def __bool__(self) -> bool:
        return True


def results_of(
    images: Iterable[Any], process: Callable[[Any], ResultT], on_error: OnError
) -> Iterator[ResultT | ImageError | ScoreMapError]:
    """Processes image after image.

    Args:
        images: The images.
        process: Makes the result of one.
        on_error: What happens with one that cannot be used.

    Raises:
        ConfigError: `on_error` is not one of the three.
    """
    if on_error not in get_args(OnError):
        raise ConfigError(f"on_error must be one of {', '.join(get_args(OnError))}, not '{on_error}'")
    return _results_of(images, process, on_error)


def _results_of(
    images: Iterable[Any], process: Callable[[Any], ResultT], on_error: OnError
) -> Iterator[ResultT | ImageError | ScoreMapError]:
    for image in images:
        try:
            yield process(image)
        except (ImageError, ScoreMapError) as error:
            if on_error == "raise":
                raise
            if on_error == "skip":
                warn_input(f"left out: {error}")
            else:
                yield error
