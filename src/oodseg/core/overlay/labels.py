"""Labels: a chip with an object's number and confidence, on a leader line beside the object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.core.overlay.contours import Shape, paint_line
from oodseg.core.overlay.placement import nearest_point, place_labels
from oodseg.core.overlay.style import INK, PAPER, Colour, Style, colour_of, font, ink_on

_SMOOTH = 4  # shapes are drawn this much larger and shrunk, which rounds their corners smoothly
_OPACITY = 225


def draw_labels(
    canvas: NDArray[np.uint8],
    shapes: Sequence[Shape],
    numbers: Sequence[int],
    confidence: Sequence[float],
    scale: float,
    style: Style,
    kept: dict[int, int] | None = None,
) -> None:
    """Labels objects, in place.

    Args:
        canvas: uint8 `[h, w, 3]` RGB: the whole image.
        shapes: The objects, most confident first.
        numbers: What they go by, from 1.
        confidence: Theirs, 0..1.
        scale: Pixels of the canvas per pixel of the image.
        style: Measures of the canvas.
        kept: Of a video, by number, on which place beside its object a label stood last; brought up to date.
    """
    chips = [
        _fitting_chip(number, value, canvas.shape[1], style)
        for number, value in zip(numbers, confidence, strict=True)
    ]
    outlines = [_outline(shape, scale) for shape in shapes]
    sizes = [(each.shape[1], each.shape[0]) for each in chips]
    before = [] if kept is None else [kept.get(number) for number in numbers]
    found = place_labels(outlines, sizes, (canvas.shape[1], canvas.shape[0]), 1.6 * style.gap, before)
    places = [box for box, _ in found]
    if kept is not None:
        kept.update((number, place) for number, (_, place) in zip(numbers, found, strict=True))
    for number, points, place in zip(numbers, outlines, places, strict=True):
        centre = np.array([place[0] + place[2], place[1] + place[3]]) / 2
        anchor_x, anchor_y = points[np.argmin(((points - centre) ** 2).sum(axis=1))]
        anchor = float(anchor_x), float(anchor_y)
        start = nearest_point(place, anchor)
        length = float(np.hypot(anchor[0] - start[0], anchor[1] - start[1]))
        if length > style.thin + 1:
            # Ends before the contour: the object itself stays free.
            short = max(0.0, 1 - 2 * style.thin / length)
            end = start[0] + short * (anchor[0] - start[0]), start[1] + short * (anchor[1] - start[1])
            paint_line(canvas, start, end, colour_of(number), style.thin)
    for one, place in zip(chips, places, strict=True):
        paste(canvas, one, round(place[0]), round(place[1]))


def _fitting_chip(number: int, confidence: float, width: int, style: Style) -> NDArray[np.uint8]:
    """The label of an object; without the confidence where the canvas is too narrow for it."""
    full = chip(str(number), f"{confidence:.2f}", colour_of(number), style.letter)
    return full if full.shape[1] <= width else chip(str(number), "", colour_of(number), style.letter)


def chip(number: str, text: str, colour: Colour, letter: int) -> NDArray[np.uint8]:
    """Draws a label: a number on the object's colour, then a text on black.

    Args:
        number: May be empty.
        text: What stands beside it; may be empty.
        colour: The object's, RGB.
        letter: Height of the letters in pixels.

    Returns:
        uint8 `[h, w, 4]` RGBA.
    """
    from PIL import Image, ImageDraw

    face, pad = font(letter), max(2, round(0.4 * letter))
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    height = round(1.55 * letter)
    tab = max(height - pad // 2, round(measure.textlength(number, font=face)) + 2 * pad) if number else 0
    width = tab + (round(measure.textlength(text, font=face)) + 2 * pad if text else 0)
    shape = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    corner = 0.28 * height * _SMOOTH
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, shape.width - 1, shape.height - 1), corner, fill=_OPACITY)
    image = Image.new("RGB", (width, height), INK)
    draw = ImageDraw.Draw(image)
    if number:
        draw.rectangle((0, 0, tab - 1, height), fill=colour)
        draw.text((tab / 2, height / 2), number, font=face, fill=ink_on(colour), anchor="mm")
    draw.text((tab + pad, height / 2), text, font=face, fill=PAPER, anchor="lm")
    alpha = shape.resize((width, height), Image.Resampling.BOX)
    return np.dstack([np.asarray(image), np.asarray(alpha)])


def paste(canvas: NDArray[np.uint8], label: NDArray[np.uint8], x: int, y: int) -> None:
    """Blends RGBA onto a canvas, in place; what would lie outside is cropped."""
    x, y = max(0, x), max(0, y)
    part = canvas[y : y + label.shape[0], x : x + label.shape[1]]
    label = label[: part.shape[0], : part.shape[1]]
    strength = label[:, :, 3:].astype(np.float32) / 255
    part[...] = np.rint(part + strength * (label[:, :, :3].astype(np.float32) - part)).astype(np.uint8)


def _outline(shape: Shape, scale: float) -> NDArray[np.float64]:
    """Centres of the pixels along the edge of a mask, `(x, y)` on the canvas, float64 `[K, 2]`."""
    import cv2

    contours, _ = cv2.findContours(shape.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(contours).reshape(-1, 2).astype(np.float64)
    return np.asarray((points + np.array([shape.x + 0.5, shape.y + 0.5])) * scale)
