"""Images at the size that a network works at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from oodseg.io.images import as_image, resize, to_tensor

if TYPE_CHECKING:
    from torch import Tensor


class ResizedImages:
    """Images as float `[1, 3, h, w]` in 0..1, as often as one iterates over them.

    Args:
        images: Whatever `as_image` takes.
        size: Gives the height and width to work at for those of an image.
        device: Torch device.
    """

    def __init__(
        self, images: Iterable[Any], size: Callable[[int, int], tuple[int, int]], device: str
    ) -> None:
        self._images, self._size, self._device = images, size, device

    def __iter__(self) -> Iterator[Tensor]:
        for each in self._images:
            image = as_image(each)
            yield to_tensor(resize(image, *self._size(*image.shape[:2]))).to(self._device)[None]
