"""Images a person can judge: image, prediction, re-synthesis and error map side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.taxonomy import BACKGROUND
from oodseg.io.images import resize
from oodseg.report.gallery import heat

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from oodseg.failures import Assessment

RGB = NDArray[np.uint8]
Colour = tuple[int, int, int]

TILE = 512  # long side of a tile, pixels
_ENLARGE = 4.0  # at most: beyond, a small slice is all blur
_MIN_WIDTH = 240  # a title fits into it
_GAP, _PAD = 8, 8
_TITLE, _LETTER = 28, 15
_PAPER, _INK, _SOFT = (16, 18, 22), (255, 255, 255), (178, 186, 196)
# Of the street classes in their order: road, pavement, people, vehicles, roadside, far objects, sky.
_FIRST: tuple[Colour, ...] = (
    (140, 90, 160),
    (235, 120, 205),
    (225, 45, 60),
    (45, 80, 215),
    (245, 170, 40),
    (100, 160, 50),
    (95, 190, 235),
)


def class_colours(classes: Sequence[str]) -> list[Colour]:
    """Returns one colour per class: hand-picked for the first seven, then evenly round the colour wheel."""
    shift = 1 if classes and classes[0] == BACKGROUND else 0
    colours = []
    for index in range(len(classes)):
        place = (index - shift) % max(1, len(classes))
        if place < len(_FIRST):
            colours.append(_FIRST[place])
            continue
        # Steps of the golden ratio never come back near a hue soon.
        red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1.0, 0.65, 0.95)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours


def colour_labels(image: RGB, labels: NDArray[np.uint8], classes: Sequence[str]) -> RGB:
    """Lays the classes' colours over the image in grey.

    Args:
        image: uint8 `[H, W, 3]`.
        labels: uint8 `[H, W]`, indices into `classes`.
        classes: Names; a first one called `background` stays uncoloured.
    """
    table = np.zeros((256, 3), np.float32)
    table[: len(classes)] = class_colours(classes)
    grey = _grey(image)
    painted = 0.35 * grey + 0.65 * table[labels]
    if classes and classes[0] == BACKGROUND:
        painted = np.where((labels == 0)[:, :, None], grey, painted)
    return np.asarray(painted.clip(0, 255), np.uint8)


def heat_map(image: RGB, error: NDArray[np.float32]) -> RGB:
    """Shows where the prediction is likely wrong: bright on the image in dark grey.

    Args:
        image: uint8 `[H, W, 3]`.
        error: float32 `[H, W]` in 0..1.
    """
    levels = np.rint(error * 255.0).astype(np.uint8)
    weight = (0.35 + 0.6 * error)[:, :, None]
    mixed = weight * heat(levels) + (1 - weight) * 0.5 * _grey(image)
    return np.asarray(mixed.clip(0, 255), np.uint8)


def _grey(image: RGB) -> NDArray[np.float32]:
    return np.asarray(image.mean(axis=2, keepdims=True), np.float32)


def draw_panel(image: RGB, assessment: Assessment, classes: Sequence[str]) -> RGB:
    """Draws image | prediction | re-synthesis (if there is one) | error map, with titles and a key.

    Args:
        image: uint8 `[H, W, 3]`: the image.
        assessment: What the failure detector says about it, of the same size.
        classes: Names of the classes.

    Returns:
        uint8 `[h, w, 3]` RGB; every tile has a long side of about 512 pixels.
    """
    share = f"{100 * float(assessment.error.mean()):.1f}"
    tiles = [("image", image), ("prediction", colour_labels(image, assessment.labels, classes))]
    if assessment.resynthesis is not None:
        made = assessment.resynthesis
        if not np.ptp(image, axis=2).any():  # a scan has no colours, what a network paints always has some
            made = np.broadcast_to(_grey(made).round().astype(np.uint8), made.shape)
        tiles.append(("re-synthesis of the prediction", made))
    tiles.append((f"error map: about {share} % wrong", heat_map(image, assessment.error)))
    return _lay_out(tiles, _key(assessment.labels, classes), *image.shape[:2])


def _key(labels: NDArray[np.uint8], classes: Sequence[str]) -> list[tuple[Colour, str]]:
    """Colours and names of the classes in the prediction, the most frequent first."""
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    colours = class_colours(classes)
    shown = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k] and k < len(classes)]
    return [(colours[k], classes[k]) for k in shown if classes[k] != BACKGROUND]


def _lay_out(
    tiles: Sequence[tuple[str, RGB]], key: Sequence[tuple[Colour, str]], height: int, width: int
) -> RGB:
    from PIL import Image, ImageDraw

    scale = min(TILE / max(height, width), _ENLARGE)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    cell = max(wide, _MIN_WIDTH)
    total = len(tiles) * cell + (len(tiles) - 1) * _GAP + 2 * _PAD
    rows = _wrap(key, total - 2 * _PAD - _ramp_width())
    foot = max(1, len(rows)) * _TITLE
    canvas = Image.new("RGB", (total, _TITLE + tall + foot + _PAD // 2), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, (title, pixels) in enumerate(tiles):
        left = _PAD + number * (cell + _GAP)
        _write(draw, title, left, cell, centred=wide < cell)
        canvas.paste(Image.fromarray(resize(pixels, tall, wide)), (left + (cell - wide) // 2, _TITLE))
    top = _TITLE + tall
    for line, entries in enumerate(rows):
        left, middle = _PAD, top + _TITLE * line + _TITLE // 2
        for colour, name in entries:
            draw.rounded_rectangle((left, middle - 7, left + 14, middle + 7), 3, fill=colour)
            draw.text((left + 20, middle), name, font=_font(_LETTER), fill=_SOFT, anchor="lm")
            left += _entry_width(name)
    _draw_ramp(draw, canvas, total - _PAD, top + _TITLE // 2)
    return np.asarray(canvas)


def _write(draw: ImageDraw, text: str, left: int, room: int, centred: bool) -> None:
    """Writes a title in the largest letter that fits the room."""
    size = next((s for s in range(_LETTER + 2, 9, -1) if draw.textlength(text, font=_font(s)) <= room), 9)
    place, anchor = (left + room / 2, "mm") if centred else (left, "lm")
    draw.text((place, _TITLE / 2), text, font=_font(size), fill=_INK, anchor=anchor)


def _wrap(key: Sequence[tuple[Colour, str]], room: int) -> list[list[tuple[Colour, str]]]:
    """Breaks the key into lines that fit the room."""
    rows: list[list[tuple[Colour, str]]] = []
    used = room + 1
    for entry in key:
        width = _entry_width(entry[1])
        if used + width > room:
            rows.append([])
            used = 0
        rows[-1].append(entry)
        used += width
    return rows


_RAMP_LENGTH, _RAMP_ENDS = 120, ("right", "wrong")


def _ramp_width() -> int:
    return _RAMP_LENGTH + 2 * 10 + sum(_text_width(text) for text in _RAMP_ENDS)


def _draw_ramp(draw: ImageDraw, canvas: Any, right: int, middle: int) -> None:
    """Draws the error map's colours from right to wrong, flush with the right border."""
    from PIL import Image

    font = _font(_LETTER)
    draw.text((right, middle), _RAMP_ENDS[1], font=font, fill=_SOFT, anchor="rm")
    end = right - _text_width(_RAMP_ENDS[1]) - 6
    colours = heat(np.linspace(0, 255, _RAMP_LENGTH).astype(np.uint8)[None].repeat(12, 0))
    canvas.paste(Image.fromarray(colours), (end - _RAMP_LENGTH, middle - 6))
    draw.text((end - _RAMP_LENGTH - 6, middle), _RAMP_ENDS[0], font=font, fill=_SOFT, anchor="rm")


def _entry_width(name: str) -> int:
    return 20 + _text_width(name) + 18


def _text_width(text: str) -> int:
    return int(np.ceil(_font(_LETTER).getlength(text)))


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
