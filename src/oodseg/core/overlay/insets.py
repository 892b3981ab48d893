"""Small objects enlarged, in a row of tiles that stands beside the image and hides nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodseg.core.objects import OodObject
from oodseg.core.overlay.contours import View, cut_out, margin_for, paint
from oodseg.core.overlay.labels import chip, paste
from oodseg.core.overlay.style import INK, PAPER, SMALL, Style, colour_of, number_of

_LEAST_ZOOM, _MOST_ZOOM = 1.25, 8.0
_COLUMNS, _ROWS = 6, 2
_CONTEXT = 2.2  # side of a tile's crop, as a multiple of the object's side


@dataclass(frozen=True)
class Inset:
    """The crop of the image that a tile shows.

    Attributes:
        position: Of the object, in order of confidence, from 0.
        x: First column of the image that is shown.
        y: First row.
        side: Columns and rows that are shown.
        zoom: How much larger the object is there than in the image beside it.
    """

    position: int
    x: int
    y: int
    side: int
    zoom: float


def tile_side(width: int, style: Style) -> int:
    """Computes the side of a tile of which six fill a row of that width, at least as large as labels need."""
    filling = (width - (_COLUMNS - 1) * style.gap) // _COLUMNS
    return min(width, max(filling, 8 * style.letter))


def choose_insets(
    objects: Sequence[OodObject], height: int, width: int, side: int, scale: float
) -> list[Inset]:
    """Chooses the objects that a tile shows better than the image does.

    Args:
        objects: The objects, most confident first.
        height: Rows of the image.
        width: Columns of the image.
        side: Of a tile, in pixels.
        scale: At which the image beside the tiles is drawn.

    Returns:
        One per object that covers less than `SMALL` of the image and can be enlarged 1.25 times or more.
    """
    chosen = []
    largest = int(side / (_LEAST_ZOOM * scale))
    # An object of a few pixels needs some of its surroundings to be recognised.
    least = side / max(_MOST_ZOOM, 3 * scale)
    for position, found in enumerate(objects):
        x, y, object_width, object_height = found.bbox
        longest = max(object_width, object_height)
        # A long object gets less around it rather than no tile.
        shown = min(round(max(min(_CONTEXT * longest, largest), least)), height, width)
        if found.area >= SMALL * height * width or longest > shown:
            continue
        left = min(max(0, round(x + object_width / 2 - shown / 2)), width - shown)
        top = min(max(0, round(y + object_height / 2 - shown / 2)), height - shown)
        chosen.append(Inset(position, left, top, shown, side / (shown * scale)))
    return chosen


def fitting(insets: Sequence[Inset], width: int, side: int, style: Style) -> list[Inset]:
    """Selects the insets that fit in two rows of that width: those of the most confident objects."""
    return list(insets[: _ROWS * _per_row(width, side, style)])


def _per_row(width: int, side: int, style: Style) -> int:
    return max(1, (width + style.gap) // (side + style.gap))


def draw_insets(
    image: NDArray[np.uint8],
    objects: Sequence[OodObject],
    insets: Sequence[Inset],
    width: int,
    side: int,
    style: Style,
) -> NDArray[np.uint8]:
    """Draws tiles in rows.

    Args:
        image: The image, uint8 `[H, W, 3]` RGB.
        objects: The objects, most confident first.
        insets: As `choose_insets` gives them; see `fitting`.
        width: What the tiles have to fit into, at least `side`.
        side: Of a tile.
        style: Measures.

    Returns:
        uint8 `[h, w, 3]` RGB, w no more than `width`; both are 0 where there is no inset.
    """
    columns = min(_per_row(width, side, style), len(insets))
    rows = -(-len(insets) // columns) if insets else 0
    step = side + style.gap
    board = np.full((max(0, rows * step - style.gap), max(0, columns * step - style.gap), 3), PAPER, np.uint8)
    for place, inset in enumerate(insets):
        top, left = (place // columns) * step, (place % columns) * step
        board[top : top + side, left : left + side] = _tile(
            image, objects[inset.position], inset, side, style
        )
    return board


def _tile(
    image: NDArray[np.uint8], found: OodObject, inset: Inset, side: int, style: Style
) -> NDArray[np.uint8]:
    import cv2

    seen = np.ascontiguousarray(image[inset.y : inset.y + inset.side, inset.x : inset.x + inset.side])
    tile = np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    view, number = View(inset.x, inset.y, side / inset.side), number_of(found, inset.position)
    colour = colour_of(number)
    paint(tile, cut_out(found, margin_for(style.line, view)), view, colour, style.line, 0.0)
    border = max(2, round(style.line))
    for edge in (np.s_[:border], np.s_[-border:], np.s_[:, :border], np.s_[:, -border:]):
        tile[edge] = colour
    paste(tile, chip(str(number), f"{found.confidence:.2f}", colour, style.letter), 0, 0)
    zoom = chip("", f"{inset.zoom:.1f}x", INK, max(9, round(0.85 * style.letter)))
    paste(tile, zoom, side - zoom.shape[1] - 2 * border, side - zoom.shape[0] - 2 * border)
    return tile
