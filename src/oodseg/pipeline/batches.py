"""Predicts images in batches: the detector sees several of them at once, all else goes one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ImageError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.parts import Sight
from oodseg.io.images import Channels, as_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction


def in_batches(
    images: Iterable[Any],
    size: int,
    look_at: Callable[[Sequence[NDArray[np.uint8]]], list[Sight]],
    predict: Callable[[NDArray[np.uint8], Sight], Prediction],
    channels: Channels = "rgb",
) -> Iterator[Callable[[], Prediction]]:
    """Prepares the predictions of images, batch by batch.

    Args:
        images: Whatever `as_image` takes.
        size: Images per batch.
        look_at: Runs the detector on the images of a batch.
        predict: Makes the prediction of one of them.
        channels: Order of the channels of arrays.

    Yields:
        For every image, in their order, what gives its prediction, or raises why there is none.
    """
    waiting = iter(images)
    while group := list(islice(waiting, size)):
        read = [_read(each, channels) for each in group]
        pixels = [found[0] for found in read if not isinstance(found, ImageError)]
        sights = iter(look_at(pixels)) if pixels else iter(())
        for image, found in zip(group, read, strict=True):
            if isinstance(found, ImageError):
                yield partial(_raise, found)
            else:
                yield partial(_finish, image, *found, next(sights), predict, channels)


def _read(image: Any, channels: Channels) -> tuple[NDArray[np.uint8], list[str]] | ImageError:
    """An image and what was mended in it, or why it cannot be read."""
    with collect_warnings() as warnings:
        try:
            return as_image(image, channels=channels), warnings
        except ImageError as error:
            return error


def _finish(
    image: Any,
    pixels: NDArray[np.uint8],
    warnings: list[str],
    sight: Sight,
    predict: Callable[[NDArray[np.uint8], Sight], Prediction],
    channels: Channels,
) -> Prediction:
    found = predict(pixels, sight)
    return replace(
        found,
        path=Path(image) if isinstance(image, str | Path) else None,
        warnings=[*warnings, *found.warnings],
        open_image=partial(as_image, image, channels=channels),
    )


def _raise(error: ImageError) -> Prediction:
    raise error
