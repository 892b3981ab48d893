"""Colours and measures of overlays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING

from oodseg.core.objects import OodObject

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]

# Okabe and Ito's palette (colour universal design), without black; what stands out from asphalt comes first.
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
    (0, 158, 115),
    (213, 94, 0),
    (0, 114, 178),
)
INK: Colour = (20, 22, 26)
PAPER: Colour = (255, 255, 255)
FAINT: Colour = (110, 114, 120)
SMALL = 0.01
"""Objects that cover less than this share of the image are small: thin contours, no tint, an inset."""


@dataclass(frozen=True)
class Style:
    """Measures in pixels of the canvas.

    Attributes:
        line: Width of a contour.
        thin: Width of a small object's contour and of leader lines.
        letter: Height of letters on labels.
        gap: Between a label and its object, and between what is laid out beside the image.
    """

    line: float
    thin: float
    letter: int
    gap: int


def style_for(height: int, width: int) -> Style:
    """Returns the measures for a canvas of that size; they grow more slowly than its side."""
    side = sqrt(height * width)
    unit = max(1.0, side / 1000)
    return Style(1.8 * unit, 1.2 * unit, round(13 * unit), round(11 * unit))


def colour_of(number: int) -> Colour:
    """Returns the colour of an object by its number, from 1."""
    return COLOURS[(number - 1) % len(COLOURS)]


def number_of(found: OodObject, position: int) -> int:
    """Returns the number that an object goes by: its track in a video, else its place from 1."""
    return position + 1 if found.track is None else found.track


def ink_on(colour: Colour) -> Colour:
    """Chooses black or white, whichever contrasts more (luminance weights of ITU-R BT.601)."""
    return INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110 else PAPER


@lru_cache(maxsize=32)
def font(size: int) -> FreeTypeFont | ImageFont:
    """Returns the font that comes with Pillow, letters `size` pixels high."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
