"""An image with what was found in it, for people."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.core.objects import OodObject
from oodseg.core.overlay.contours import View, cut_out, margin_for, paint
from oodseg.core.overlay.insets import choose_insets, draw_insets, fitting, tile_side
from oodseg.core.overlay.labels import draw_labels
from oodseg.core.overlay.style import FAINT, INK, PAPER, SMALL, Style, colour_of, font, number_of, style_for

_TINT = 0.22
_LEAST_SIDE = 640


def caption(count: int) -> str:
    """Gives the number of objects in words."""
    return "no unknown object" if count == 0 else f"{count} unknown object{'s' if count > 1 else ''}"


def check_pixels(image: Any) -> None:
    """Checks that an image is there as pixels, not as a path or in another form.

    Raises:
        ImageError: It is no uint8 array `[H, W, 3]`.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"an image is drawn on as an array uint8 [H, W, 3] in RGB order, not as a "
            f"{type(image).__name__}: oodseg.read_image(PATH) gives one"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f"an image is drawn on as an array uint8 [H, W, 3] in RGB order, not {image.dtype} "
            f"{list(image.shape)}: oodseg.read_image(PATH) gives one"
        )


def draw_objects(
    image: NDArray[np.uint8], objects: Sequence[OodObject], kept: dict[int, int] | None = None
) -> NDArray[np.uint8]:
    """Draws contours and labels over an image; the rest of it stays as it is.

    Args:
        image: The image, uint8 `[H, W, 3]` RGB.
        objects: What was found in it, most confident first.
        kept: For the frames of a video, one dict for all of them, empty at first, so that labels stay on the
            same side of their objects.

    Returns:
        uint8 `[H, W, 3]` RGB, of the size of the image: for frames of a video and axes in its own pixels.

    Raises:
        ImageError: The image is no such array.
    """
    check_pixels(image)
    return _draw(image, objects, 1.0, style_for(*image.shape[:2]), kept=kept)


def draw_overlay(
    image: NDArray[np.uint8], objects: Sequence[OodObject], side: int | None = None
) -> NDArray[np.uint8]:
    """Draws a figure: the image with contours and labels, small objects enlarged below, then a caption.

    Args:
        image: The image, uint8 `[H, W, 3]` RGB.
        objects: What was found in it, most confident first.
        side: Longer side of the image in the figure, in pixels. None keeps its size; an image with a longer
            side under 640 is enlarged, so that the labels can be read.

    Returns:
        uint8 `[H', W', 3]` RGB, higher than the image is.

    Raises:
        ImageError: The image is no such array.
    """
    import cv2

    check_pixels(image)
    height, width = image.shape[:2]
    scale = ceil(_LEAST_SIDE / max(height, width)) if side is None else side / max(height, width)
    scene = image
    if scale != 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scene = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    style = style_for(*scene.shape[:2])
    scene = _draw(scene, objects, scale, style, height * width)
    # A narrow image stands on a wider sheet, for the sake of the caption.
    sheet = max(scene.shape[1], round(18 * style.letter))
    tile = tile_side(sheet, style)
    small = choose_insets(objects, height, width, tile, scale)
    enlarged = fitting(small, sheet, tile, style)
    board = draw_insets(image, objects, enlarged, sheet, tile, style)
    text = _caption(objects, len(enlarged), len(small), style)
    blank = np.full((style.gap, 1, 3), PAPER, np.uint8)
    beside = board.size and board.shape[1] + 2 * style.gap + text.shape[1] <= sheet
    below = [_side_by_side(board, text, 2 * style.gap)] if beside else [board, text]
    rows = [scene]
    for part in below:
        rows += [blank, part] if part.size else []
    return np.concatenate([_widen(part, sheet) for part in [*rows, blank]])


def _draw(
    scene: NDArray[np.uint8],
    objects: Sequence[OodObject],
    scale: float,
    style: Style,
    pixels: int | None = None,
    kept: dict[int, int] | None = None,
) -> NDArray[np.uint8]:
    """A copy of the scene with contours and labels; `pixels` are those of the image itself."""
    canvas = np.array(scene)
    view = View(0, 0, scale)
    shapes = [cut_out(found, margin_for(style.line, view)) for found in objects]
    numbers = [number_of(found, position) for position, found in enumerate(objects)]
    whole = canvas.shape[0] * canvas.shape[1] if pixels is None else pixels
    # Least confident first, so that the surest object lies on top.
    for position in reversed(range(len(objects))):
        small = objects[position].area < SMALL * whole
        width, tint = (style.thin, 0.0) if small else (style.line, _TINT)
        paint(canvas, shapes[position], view, colour_of(numbers[position]), width, tint)
    draw_labels(canvas, shapes, numbers, [found.confidence for found in objects], scale, style, kept)
    return canvas


def _widen(part: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Pads the right side with background, up to that width."""
    filler = np.full((part.shape[0], max(0, width - part.shape[1]), 3), PAPER, np.uint8)
    return np.concatenate([part, filler], axis=1)


def _side_by_side(board: NDArray[np.uint8], text: NDArray[np.uint8], gap: int) -> NDArray[np.uint8]:
    """Places the caption at the upper right of the tiles."""
    sheet = _widen(board, board.shape[1] + gap + text.shape[1])
    sheet[: text.shape[0], -text.shape[1] :] = text
    return sheet


def _caption(objects: Sequence[OodObject], enlarged: int, small: int, style: Style) -> NDArray[np.uint8]:
    """The number of objects, the highest confidence, what was left out, on paper as small as these lines."""
    from PIL import Image, ImageDraw

    # The font's space is so narrow that a number and a word would run together.
    lines = [(caption(len(objects)).replace(" ", "  "), round(1.2 * style.letter), INK)]
    if objects:
        most = max(found.confidence for found in objects)
        lines.append((f"highest confidence {most:.2f}", style.letter, FAINT))
    if enlarged < small:
        lines.append((f"{enlarged} of {small} small objects enlarged", style.letter, FAINT))
    measure, left = ImageDraw.Draw(Image.new("L", (1, 1))), style.gap // 2
    width = left + max(round(measure.textlength(text, font=font(size))) for text, size, _ in lines)
    image = Image.new("RGB", (width, round(1.4 * sum(size for _, size, _ in lines))), PAPER)
    draw, y = ImageDraw.Draw(image), 0.0
    for text, size, colour in lines:
        draw.text((left, y + 0.7 * size), text, font=font(size), fill=colour, anchor="lm")
        y += 1.4 * size
    return np.asarray(image)
