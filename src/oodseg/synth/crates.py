"""Crates, boards and panels of any material: unknown objects without a name.

Half of DenseHybrid's negatives are plain rectangles of other images (Grcić et al., ECCV 2022); here they
get a second and third face, so that they look like what falls off a lorry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.synth.paste import Cutout

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CANVAS = 160  # pixels on a side, before the crate is brought to its size


def draw_crate(texture: NDArray[np.uint8], rng: np.random.Generator) -> Cutout:
    """Draws a board or a crate whose faces are cut from an image.

    Args:
        texture: uint8 `[H, W, 3]`, RGB, at least 16 pixels on a side.
        rng: Source of every choice.

    Returns:
        The crate, seen from its front and, three times in four, from above and from one side.
    """
    image = np.zeros((_CANVAS, _CANVAS, 3), np.uint8)
    alpha = np.zeros((_CANVAS, _CANVAS), np.float32)
    aspect = float(np.exp(rng.uniform(np.log(0.35), np.log(3.0))))
    wide, tall = min(1.0, aspect) * 0.7 * _CANVAS, min(1.0, 1 / aspect) * 0.7 * _CANVAS
    deep = 0.3 * _CANVAS * float(rng.uniform(0.3, 1)) if rng.random() < 0.75 else 0.0
    side = float(rng.choice((-1, 1))) * float(rng.uniform(0, 0.8)) * deep
    rise = float(rng.uniform(0.2, 0.8)) * deep
    left, top = (_CANVAS - wide) / 2 - side / 2, (_CANVAS - tall + rise) / 2
    corner = np.array([left, top], np.float32)
    front = corner + np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32)
    back = front + np.array([side, -rise], np.float32)
    jitter = rng.normal(0, 0.015 * _CANVAS, front.shape) if rng.random() < 0.5 else 0.0
    front = (front + jitter).astype(np.float32)
    faces = [(front, 1.0)]
    if deep:
        faces.append((np.stack([back[0], back[1], front[1], front[0]]), float(rng.uniform(0.9, 1.4))))
        edge = (1, 2) if side > 0 else (0, 3)
        flank = np.stack([front[edge[0]], back[edge[0]], back[edge[1]], front[edge[1]]])
        faces.append((flank, float(rng.uniform(0.4, 0.9))))
    material = _window(texture, rng)
    for corners, light in faces:
        if rng.random() < 0.2:
            material = _window(texture, rng)
        _draw_face(image, alpha, material, corners.astype(np.float32), light)
    box = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    x, y, w, h = box
    return Cutout(image[y : y + h, x : x + w], alpha[y : y + h, x : x + w])


def cut_rectangle(texture: NDArray[np.uint8], rng: np.random.Generator) -> Cutout:
    """Cuts a plain rectangle, of any stuff, out of an image; takes what `draw_crate` takes."""
    height, width = texture.shape[:2]
    h, w = (max(8, int(side * rng.uniform(0.1, 0.7))) for side in (height, width))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    cut = np.ascontiguousarray(texture[y : y + h, x : x + w])
    return Cutout(cut, np.ones((h, w), np.float32))


def _window(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = texture.shape[:2]
    h, w = (max(8, int(side * rng.uniform(0.08, 0.5))) for side in (height, width))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    cut = texture[y : y + h, x : x + w]
    if rng.random() < 0.35:  # one colour, nearly
        cut = np.broadcast_to(cut.reshape(-1, 3).mean(0), cut.shape)
        cut = np.clip(cut + rng.normal(0, 5, cut.shape), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(cut)


def _draw_face(
    image: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    material: NDArray[np.uint8],
    corners: NDArray[np.float32],
    light: float,
) -> None:
    """Draws one face in place."""
    h, w = material.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    # A face that is seen edge-on has no map onto it.
    if cv2.contourArea(corners) < 8:
        return
    matrix = cv2.getPerspectiveTransform(source, corners)
    drawn = cv2.warpPerspective(material, matrix, (_CANVAS, _CANVAS), borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros(alpha.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), 1)
    where = inside > 0
    image[where] = np.clip(drawn[where].astype(np.float32) * light, 0, 255).astype(np.uint8)
    alpha[where] = 1.0
