"""Draws what was found over its image, for people; reads and writes no files."""

from oodseg.core.overlay.figure import caption, check_pixels, draw_objects, draw_overlay
from oodseg.core.overlay.style import COLOURS, colour_of, number_of
from oodseg.core.overlay.thumbnail import draw_thumbnail

__all__ = [
    "COLOURS",
    "caption",
    "check_pixels",
    "colour_of",
    "draw_objects",
    "draw_overlay",
    "draw_thumbnail",
    "number_of",
]
