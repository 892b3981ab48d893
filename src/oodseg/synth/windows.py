"""Windows of street images: a source, an image of it and a part of that, all at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from oodseg.data.training import StreetImage

# Share of each source of street images, and the smallest share of an image's height a crop may take:
# Cityscapes frames are large, IDD-Lite's are small already.
_SOURCES = {
    "camvid": (0.22, 0.4),
    "idd_lite": (0.33, 0.5),
    "cityscapes_sample": (0.12, 0.2),
    "cityscapes_640": (0.33, 0.35),
}
# Windows reach for places beyond the image by this share and are held back at its border, so that the
# border, where the camera's own car shows, is seen as often as it is in whole images.
_BEYOND = 0.3


def cut_window(
    planes: list[NDArray[np.uint8]],
    size: tuple[int, int],
    smallest: float,
    rng: np.random.Generator,
    zoom: float = 1.0,
) -> list[NDArray[np.uint8]]:
    """Cuts a random window of a scene's aspect out of all planes, scales it, and mirrors half of them.

    Args:
        planes: The image, uint8 `[H, W, 3]`, then what else shows the same, uint8 `[H, W]` each.
        size: Height and width of the scene in pixels.
        smallest: Least share, 0..1, of the largest window's height.
        rng: Source of every choice.
        zoom: The window is this many times smaller.

    Returns:
        The planes in the size of the scene.
    """
    height, width = size
    h, w = planes[0].shape[:2]
    largest = min(h, w * height / width)
    tall = largest * float(np.exp(rng.uniform(np.log(smallest), 0))) / zoom
    wide = tall * width / height
    top = np.clip(rng.uniform(-_BEYOND, 1 + _BEYOND), 0, 1) * (h - tall)
    left = np.clip(rng.uniform(-_BEYOND, 1 + _BEYOND), 0, 1) * (w - wide)
    window = np.s_[int(top) : int(top + tall), int(left) : int(left + wide)]
    cut = [plane[window] for plane in planes]
    shrinks = tall > height
    result = [
        cv2.resize(cut[0], (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    ]
    result += [cv2.resize(each, (width, height), interpolation=cv2.INTER_NEAREST) for each in cut[1:]]
    if rng.random() < 0.5:
        result = [np.ascontiguousarray(each[:, ::-1]) for each in result]
    return result


class StreetWindows:
    """Draws windows of labelled street images.

    Args:
        streets: The images by source.
        size: Height and width of a window in pixels.
    """

    def __init__(self, streets: Mapping[str, Sequence[StreetImage]], size: tuple[int, int]) -> None:
        self.streets, self.size = streets, size

    def draw(
        self, rng: np.random.Generator, zoom: float = 1.0, loose: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draws a window, `zoom` times smaller than usual, and reads what `StreetImage.read` gives of it."""
        names = list(self.streets)
        shares = np.array([_SOURCES[name][0] for name in names])
        source = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        image = self.streets[source][int(rng.integers(len(self.streets[source])))]
        pixels, labels = cut_window(list(image.read(loose)), self.size, _SOURCES[source][1], rng, zoom)
        return pixels, labels
