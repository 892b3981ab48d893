"""Pastes one thing into an image: x_oe = (1 - T(y)) x_in + T(y) x_out (S2M, CVPR 2024, Eq. 3 and 4).

T is the rescaling and cutting of the outlier. The paper pastes with a hard edge; here the mask T(y) is
soft, colours are drawn towards the place, and a contact shadow may fall, because a network otherwise
learns the seam and not the object. The same code pastes known things, so pasting itself is no cue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Cutout:
    """A thing cut to its mask's rectangle.

    Attributes:
        image: uint8 `[h, w, 3]`, RGB.
        alpha: Float32 `[h, w]` in 0..1, the mask y.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Cutout | None:
    """Cuts an image to the rectangle around a mask; `None` where the mask is empty."""
    box = cv2.boundingRect(mask.astype(np.uint8))
    if box[2] < 4 or box[3] < 4:
        return None
    x, y, w, h = box
    return Cutout(image[y : y + h, x : x + w], mask[y : y + h, x : x + w].astype(np.float32))


def resized(thing: Cutout, size: tuple[int, int], shrinks: bool) -> Cutout:
    """Brings a thing to a width and height in pixels: by the mean where it shrinks, else between pixels."""
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return Cutout(
        cv2.resize(thing.image, size, interpolation=how), cv2.resize(thing.alpha, size, interpolation=how)
    )


def rescale(thing: Cutout, long_side: float, rng: np.random.Generator) -> Cutout:
    """Applies T: scales a thing to `long_side` pixels, mirrors half of them, turns and stretches a little."""
    h, w = thing.alpha.shape
    scale = long_side / max(h, w)
    stretch = float(np.exp(rng.normal(0, 0.12)))
    size = (max(4, round(w * scale * stretch)), max(4, round(h * scale / stretch)))
    scaled = resized(thing, size, shrinks=scale < 1)
    image, alpha = scaled.image, scaled.alpha
    if rng.random() < 0.5:
        image, alpha = image[:, ::-1], alpha[:, ::-1]
    if rng.random() < 0.25:
        image, alpha = _turn(image, alpha, float(rng.normal(0, 15)))
    return Cutout(np.ascontiguousarray(image), np.ascontiguousarray(alpha))


def _turn(
    image: NDArray[np.uint8], alpha: NDArray[np.float32], degrees: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    h, w = alpha.shape
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    wide, tall = int(h * sin + w * cos) + 1, int(h * cos + w * sin) + 1
    matrix[:, 2] += (wide - w) / 2, (tall - h) / 2
    turned = cv2.warpAffine(image, matrix, (wide, tall), borderMode=cv2.BORDER_REPLICATE)
    return turned, cv2.warpAffine(alpha, matrix, (wide, tall))


def place(
    thing: Cutout,
    size: tuple[int, int],
    ground: NDArray[np.bool_],
    rng: np.random.Generator,
    zoom: float = 1.0,
) -> tuple[Cutout, int, int]:
    """Chooses size and place: mostly standing on the ground and larger when nearer, else anywhere.

    Args:
        thing: What will be pasted.
        size: Height and width of the scene in pixels.
        ground: Bool `[H, W]`: where things can stand.
        rng: Source of every choice.
        zoom: How many times larger things may be than usual.

    Returns:
        The thing in its size, and the column and row of its upper left corner, which may lie outside.
    """
    height, width = size
    side = float(np.exp(rng.uniform(np.log(6), np.log(0.62 * height * zoom))))
    if rng.random() < 0.7 and ground[::4, ::4].any():
        rows, columns = np.nonzero(ground[::4, ::4])
        pick = int(rng.integers(len(rows)))
        foot, centre = int(rows[pick]) * 4, int(columns[pick]) * 4
        nearness = (foot + 1) / height
        thing = rescale(thing, max(6.0, side * (0.3 + nearness)), rng)
        h, w = thing.alpha.shape
        return thing, centre - w // 2, foot - h
    thing = rescale(thing, side, rng)
    h, w = thing.alpha.shape
    return thing, int(rng.integers(-w // 3, width - w // 2)), int(rng.integers(-h // 3, height - h // 2))


def paste(
    scene: NDArray[np.uint8],
    thing: Cutout,
    left: int,
    top: int,
    rng: np.random.Generator,
    opacity: float = 1.0,
    shadow: float = 0.0,
) -> NDArray[np.bool_]:
    """Pastes in place; what falls outside is cut off.

    Args:
        scene: uint8 `[H, W, 3]`, changed in place.
        thing: Already rescaled.
        left: Column of the thing's left edge, may be negative.
        top: Row of its upper edge, may be negative.
        rng: Source of every choice.
        opacity: Largest alpha, 0..1: below 1 the scene shines through, as in Fishyscapes Static.
        shadow: Strength 0..1 of a contact shadow under the thing.

    Returns:
        Bool `[H, W]`: the pixels it covers (soft mask above one half of its opacity).
    """
    height, width = scene.shape[:2]
    covered = np.zeros((height, width), bool)
    h, w = thing.alpha.shape
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + w, width), min(top + h, height)
    if x1 - x0 < 3 or y1 - y0 < 3:
        return covered
    cut = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    if shadow > 0:
        _drop_shadow(scene, left, top, w, h, shadow)
    alpha = thing.alpha
    edge = float(rng.uniform(0.3, 1.3))
    if min(h, w) > 8:
        padded = cv2.GaussianBlur(cv2.copyMakeBorder(alpha, 3, 3, 3, 3, cv2.BORDER_CONSTANT), (0, 0), edge)
        # A feather that reaches inwards only: outwards the thing's own background would shine.
        alpha = np.clip((padded[3:-3, 3:-3] - 0.3) / 0.6, 0, 1)
    alpha = alpha[cut]
    place = scene[y0:y1, x0:x1]
    image = harmonize(thing.image[cut], alpha, place, rng)
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.2)))
    mixed = (alpha * opacity)[..., None]
    scene[y0:y1, x0:x1] = np.clip((1 - mixed) * place + mixed * image + 0.5, 0, 255).astype(np.uint8)
    covered[y0:y1, x0:x1] = alpha > 0.5
    return covered


def harmonize(
    image: NDArray[np.uint8], alpha: NDArray[np.float32], place: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draws the colours of a thing a random part of the way to those of the place (mean and contrast)."""
    weight = alpha.ravel() + 1e-3
    pixels = image.reshape(-1, 3).astype(np.float32)
    mean = (pixels * weight[:, None]).sum(0) / weight.sum()
    std = np.sqrt((((pixels - mean) ** 2) * weight[:, None]).sum(0) / weight.sum()) + 4
    there = place.reshape(-1, 3).astype(np.float32)
    towards = float(rng.uniform(0, 0.6)) if rng.random() < 0.7 else 0.0
    contrast = float(np.clip((there.std(0).mean() + 20) / std.mean(), 0.5, 1.3)) ** towards
    target = mean + towards * (there.mean(0) - mean)
    result: NDArray[np.float32] = np.clip((image.astype(np.float32) - mean) * contrast + target, 0, 255)
    return result


def _drop_shadow(scene: NDArray[np.uint8], left: int, top: int, w: int, h: int, strength: float) -> None:
    """Darkens a soft ellipse at the foot of a thing."""
    height, width = scene.shape[:2]
    tall = max(2, round(0.18 * w))
    x0, x1 = max(0, left - w // 6), min(width, left + w + w // 6)
    y0, y1 = max(0, top + h - tall), min(height, top + h + tall)
    if x1 - x0 < 4 or y1 - y0 < 3:
        return
    ys, xs = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    distance = ((xs - left - w / 2) / (0.62 * w)) ** 2 + ((ys - top - h) / tall) ** 2
    shade = 1 - strength * np.clip(1.2 - distance, 0, 1)[..., None]
    scene[y0:y1, x0:x1] = (scene[y0:y1, x0:x1] * shade).astype(np.uint8)
