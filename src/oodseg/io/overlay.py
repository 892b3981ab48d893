"""Draws a prediction over its picture, for people."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from oodseg.core.prediction import Prediction

# Okabe and Ito's palette (colour universal design), without black; what stands out from asphalt comes first.
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
    (0, 158, 115),
    (213, 94, 0),
    (0, 114, 178),
)
_FILL = 0.42
_DESATURATE, _DIM = 0.45, 0.72
_INK, _PAPER = (20, 20, 20), (255, 255, 255)
_STRIP = (16, 18, 22)


def draw_overlay(image: NDArray[np.uint8], prediction: Prediction) -> NDArray[np.uint8]:
    """Shows every object in a colour of its own on a muted picture.

    Objects keep their colours under a translucent fill with a crisp outline; their box is a thin line, their
    confidence stands in a chip that never leaves the picture; a strip counts them. Line widths and letters
    grow with the picture.

    Args:
        image: The picture, uint8 `[H, W, 3]` RGB.
        prediction: What was found in it.

    Returns:
        uint8 `[H, W, 3]` RGB, of the picture's size.
    """
    canvas = _mute(image, prediction.mask)
    line = max(1, round(min(image.shape[:2]) / 320))
    # Least confident first, so that the surest object lies on top.
    for position in reversed(range(len(prediction.objects))):
        _draw_outline(canvas, prediction.objects[position].mask, COLOURS[position % len(COLOURS)], line)
    return _draw_text(canvas, prediction, line)


def caption(count: int) -> str:
    """The sentence on the strip."""
    return "no unknown object" if count == 0 else f"{count} unknown object{'s' if count > 1 else ''}"


def _mute(image: NDArray[np.uint8], keep: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Takes colour and light from everything but the objects."""
    import cv2

    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    muted = cv2.addWeighted(image, (1 - _DESATURATE) * _DIM, grey, _DESATURATE * _DIM, 0)
    muted[keep] = image[keep]
    return np.asarray(muted, dtype=np.uint8)


def _draw_outline(
    canvas: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int], line: int
) -> None:
    import cv2

    canvas[mask] = np.rint((1 - _FILL) * canvas[mask] + _FILL * np.array(colour)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, _INK, line + 2 * max(1, line // 2), cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, colour, line, cv2.LINE_AA)


@lru_cache(maxsize=32)
def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _draw_text(canvas: NDArray[np.uint8], prediction: Prediction, line: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    strip = _draw_strip(draw, image.width, image.height, len(prediction.objects))
    thin = max(1, line // 2)
    chips: list[tuple[float, float, float, float]] = [(0, 0, image.width, strip)]
    for position in reversed(range(len(prediction.objects))):
        found = prediction.objects[position]
        colour = COLOURS[position % len(COLOURS)]
        x0, y0, x1, y1 = found.box
        draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=thin)
    for position, found in enumerate(prediction.objects):
        chips.append(
            _draw_chip(
                draw,
                f"{found.confidence:.2f}",
                found.box,
                COLOURS[position % len(COLOURS)],
                chips,
                image.size,
            )
        )
    return np.asarray(image)


def _draw_strip(draw: ImageDraw, width: int, height: int, count: int) -> int:
    """Draws the caption along the top and returns the strip's height."""
    size = max(8, round(min(width, height) / 26))
    words = (caption(count), f"{count} unknown", str(count))
    pad = max(2, size // 2)
    # The longest caption that fits, in a smaller letter if need be, down to 8 pixels.
    fitting = [(text, size) for size in range(size, 7, -1) for text in words[:1]] + [
        (text, 8) for text in words
    ]
    text, size = next(
        (
            (text, size)
            for text, size in fitting
            if draw.textlength(text, font=_font(size)) + 2 * pad <= width
        ),
        (words[-1], 8),
    )
    strip = min(height, round(size * 1.7))
    draw.rectangle((0, 0, width, strip - 1), fill=_STRIP)
    draw.text((pad, strip / 2), text, font=_font(size), fill=_PAPER, anchor="lm")
    return strip


def _draw_chip(
    draw: ImageDraw,
    text: str,
    box: tuple[float, float, float, float],
    colour: tuple[int, int, int],
    taken: list[tuple[float, float, float, float]],
    size: tuple[int, int],
) -> tuple[float, float, float, float]:
    """Draws a label at the box: above it, else below, else inside; returns the rectangle it takes."""
    letter = max(8, round(min(size) / 34))
    font = _font(letter)
    pad = max(1, letter // 4)
    width, height = draw.textlength(text, font=font) + 2 * pad, round(letter * 1.35)
    x0, y0, x1, y1 = box
    places = [(x0, y0 - height), (x0, y1), (x0, y0), (x1 - width, y0 - height), (x1 - width, y1), (x1, y0)]
    clamped = [(max(0.0, min(x, size[0] - width)), max(0.0, min(y, size[1] - height))) for x, y in places]
    free = [
        (x, y)
        for x, y in clamped
        if not any(
            x < right and left < x + width and y < low and high < y + height
            for left, high, right, low in taken
        )
    ]
    x, y = (free or clamped)[0]
    draw.rounded_rectangle((x, y, x + width - 1, y + height - 1), radius=height / 4, fill=colour)
    # Black or white letters, whichever contrasts more (luminance weights of ITU-R BT.601).
    ink = _INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110 else _PAPER
    draw.text((x + width / 2, y + height / 2), text, font=font, fill=ink, anchor="mm")
    return x, y, x + width, y + height
