"""Traffic signs, signals and boards to paste: round, upright and bright as unknown objects are, yet known.

The street images hold few of them large enough to see what they are, and natural images none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.synth.paste import Cutout

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colour = tuple[int, int, int]
Face = tuple["NDArray[np.uint8]", "NDArray[np.float32]"]

_SIDE = 96  # pixels of a face before it is scaled to its place
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_LETTERS = "ABCDEFGHIJKLMNOPRSTUVWZ0123456789"
_WHITE, _BLACK, _RED, _BLUE, _YELLOW = (
    (238, 238, 232), (24, 24, 26), (186, 28, 34), (28, 72, 160), (240, 196, 40),
)  # fmt: skip
_GREEN, _BROWN, _ORANGE = (20, 110, 70), (110, 66, 34), (236, 130, 30)


def draw_sign(rng: np.random.Generator) -> Cutout:
    """Draws a sign, a signal or a board, often on its pole, now and then two on one pole.

    Args:
        rng: Source of every choice.

    Returns:
        The thing with its mask, some 100 to 300 pixels tall.
    """
    faces = [_face(rng) for _ in range(2 if rng.random() < 0.15 else 1)]
    wide = max(image.shape[1] for image, _ in faces)
    tall = sum(image.shape[0] for image, _ in faces)
    pole = int(rng.uniform(0.4, 2.2) * _SIDE) if rng.random() < 0.6 else 0
    image = np.zeros((tall + pole, wide, 3), np.uint8)
    alpha = np.zeros((tall + pole, wide), np.float32)
    if pole:
        grey, half = int(rng.integers(50, 190)), max(1, int(rng.uniform(0.02, 0.06) * _SIDE))
        bar = np.s_[:, wide // 2 - half : wide // 2 + half + 1]
        image[bar], alpha[bar] = grey, 1.0
    top = 0
    for face, cover in faces:
        h, w = cover.shape
        place = np.s_[top : top + h, (wide - w) // 2 : (wide - w) // 2 + w]
        solid = cover[..., None]
        image[place] = (face * solid + image[place] * (1 - solid)).astype(np.uint8)
        alpha[place] = np.maximum(alpha[place], cover)
        top += h
    _weather(image, rng)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Cutout(image[box], alpha[box])


def _face(rng: np.random.Generator) -> Face:
    kinds: tuple[tuple[float, Callable[[np.random.Generator], Face]], ...] = (
        (0.3, _round), (0.2, _triangle), (0.1, _octagon), (0.2, _board), (0.12, _signal), (0.08, _plate),
    )  # fmt: skip
    chances = np.array([chance for chance, _ in kinds])
    return kinds[int(rng.choice(len(kinds), p=chances / chances.sum()))][1](rng)


def _blank(height: int, width: int) -> Face:
    return np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)


def _round(rng: np.random.Generator) -> Face:
    image, alpha = _blank(_SIDE, _SIDE)
    middle, radius = (_SIDE // 2, _SIDE // 2), _SIDE // 2 - 1
    cv2.circle(alpha, middle, radius, 1.0, -1, cv2.LINE_AA)
    look = rng.random()
    if look < 0.55:  # limits and bans
        cv2.circle(image, middle, radius + 1, _RED, -1)
        cv2.circle(
            image, middle, int(radius * rng.uniform(0.7, 0.84)), _YELLOW if rng.random() < 0.1 else _WHITE, -1
        )
        if rng.random() < 0.6:
            _write(image, str(int(rng.integers(2, 13)) * 10), _BLACK, rng)
        elif rng.random() < 0.5:
            _symbol(image, _BLACK, rng)
    elif look < 0.7:  # no entry
        cv2.circle(image, middle, radius + 1, _RED, -1)
        cv2.rectangle(image, (_SIDE // 5, int(_SIDE * 0.42)), (_SIDE * 4 // 5, int(_SIDE * 0.58)), _WHITE, -1)
    else:  # commands; no stopping
        cv2.circle(image, middle, radius + 1, _BLUE, -1)
        if rng.random() < 0.35:
            cv2.circle(image, middle, radius - 5, _RED, 9)
            cv2.line(image, (20, 20), (_SIDE - 20, _SIDE - 20), _RED, 9)
        else:
            _symbol(image, _WHITE, rng)
    return image, alpha


def _triangle(rng: np.random.Generator) -> Face:
    image, alpha = _blank(int(_SIDE * 0.88), _SIDE)
    height, width = alpha.shape
    outer = np.array([[width / 2, 1], [width - 2, height - 2], [1, height - 2]])
    inner = outer.mean(0) + (outer - outer.mean(0)) * float(rng.uniform(0.55, 0.72))
    cv2.fillPoly(alpha, [outer.astype(np.int32)], 1.0, cv2.LINE_AA)
    image[:] = _RED
    cv2.fillPoly(image, [inner.astype(np.int32)], _YELLOW if rng.random() < 0.2 else _WHITE)
    if rng.random() < 0.65:
        _symbol(image, _BLACK, rng, 0.5, 0.64)
    elif rng.random() < 0.7:  # give way
        image, alpha = np.ascontiguousarray(image[::-1]), np.ascontiguousarray(alpha[::-1])
    return image, alpha


def _octagon(rng: np.random.Generator) -> Face:
    image, alpha = _blank(_SIDE, _SIDE)
    diamond = rng.random() < 0.4
    turns = np.arange(4) * np.pi / 2 if diamond else (np.arange(8) + 0.5) * np.pi / 4
    corners = _SIDE / 2 + (_SIDE / 2 - 1) * np.stack([np.cos(turns), np.sin(turns)], 1)
    cv2.fillPoly(alpha, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    image[:] = _YELLOW if diamond else _RED
    if diamond:
        cv2.polylines(image, [corners.astype(np.int32)], True, _WHITE, int(rng.integers(4, 16)))
        if rng.random() < 0.4:
            _symbol(image, _BLACK, rng)
    else:
        _write(image, "STOP", _WHITE, rng)
    return image, alpha


def _board(rng: np.random.Generator) -> Face:
    """Direction boards, advertisements, marker posts with slanted stripes."""
    image, alpha = _blank(int(_SIDE * rng.uniform(0.3, 1.2)), int(_SIDE * rng.uniform(0.5, 2.2)))
    height, width = alpha.shape
    alpha[1:-1, 1:-1] = 1.0
    ground = (_BLUE, _GREEN, _YELLOW, _WHITE, _BROWN, _ORANGE)[int(rng.integers(6))]
    ink = _WHITE if ground in {_BLUE, _GREEN, _BROWN} else _BLACK
    image[:] = ground
    if rng.random() < 0.2:
        for start in range(-height, width, 24):
            stripe = np.array(
                [[start, height], [start + 12, height], [start + 12 + height, 0], [start + height, 0]]
            )
            cv2.fillPoly(image, [stripe.astype(np.int32)], _RED if rng.random() < 0.7 else _BLACK)
    else:
        cv2.rectangle(image, (3, 3), (width - 4, height - 4), ink, 2)
        lines = int(rng.integers(1, max(2, height // 22) + 1))
        for line in range(lines):
            text = _letters(int(rng.integers(3, 11)), rng)
            baseline = int((line + 0.75) * height / lines)
            cv2.putText(image, text, (8, baseline), _FONTS[0], height / lines / 34, ink, 2, cv2.LINE_AA)
    return image, alpha


def _signal(rng: np.random.Generator) -> Face:
    """A traffic light, one of its lamps lit."""
    image, alpha = _blank(int(_SIDE * 1.1), int(_SIDE * 0.44))
    height, width = alpha.shape
    alpha[1:-1, 1:-1] = 1.0
    image[:] = int(rng.integers(12, 60)) if rng.random() < 0.85 else _YELLOW
    lit = int(rng.integers(3))
    for lamp, colour in enumerate(((230, 40, 40), (240, 180, 40), (60, 220, 140))):
        shown = colour if lamp == lit else tuple(each // 6 for each in colour)
        cv2.circle(
            image, (width // 2, int(height * (lamp + 0.5) / 3)), int(width * 0.33), shown, -1, cv2.LINE_AA
        )
    return image, alpha


def _plate(rng: np.random.Generator) -> Face:
    """A number plate."""
    image, alpha = _blank(int(_SIDE * 0.3), int(_SIDE * rng.uniform(0.6, 1.3)))
    alpha[1:-1, 1:-1] = 1.0
    image[:] = _YELLOW if rng.random() < 0.4 else _WHITE
    text = _letters(7, rng)
    cv2.putText(
        image, text, (5, int(alpha.shape[0] * 0.78)), _FONTS[1], alpha.shape[1] / 150, _BLACK, 2, cv2.LINE_AA
    )
    return image, alpha


def _letters(count: int, rng: np.random.Generator) -> str:
    return "".join(_LETTERS[int(each)] for each in rng.integers(len(_LETTERS), size=count))


def _write(image: NDArray[np.uint8], text: str, ink: Colour, rng: np.random.Generator) -> None:
    """Text in the middle of a face."""
    font = _FONTS[int(rng.integers(len(_FONTS)))]
    (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
    size = 0.58 * image.shape[1] / w
    origin = (int(image.shape[1] / 2 - w * size / 2), int(image.shape[0] / 2 + h * size / 2))
    cv2.putText(image, text, origin, font, size, ink, max(2, round(3 * size)), cv2.LINE_AA)


def _symbol(
    image: NDArray[np.uint8], ink: Colour, rng: np.random.Generator, x: float = 0.5, y: float = 0.5
) -> None:
    """An arrow, a bar, or a dark shape that stands for an image, around the place `x`, `y` of the face."""
    height, width = image.shape[:2]
    centre, reach = np.array([x * width, y * height]), 0.22 * min(height, width)
    look = rng.random()
    if look < 0.4:
        turn = rng.uniform(0, 2 * np.pi)
        away = reach * np.array([np.cos(turn), np.sin(turn)])
        ends = [tuple(int(each) for each in centre + sign * away) for sign in (-1, 1)]
        cv2.arrowedLine(image, ends[0], ends[1], ink, 7, cv2.LINE_AA, tipLength=0.45)
    elif look < 0.55:
        half = np.array([reach * 0.2, reach])
        ends = [tuple(int(each) for each in centre + sign * half) for sign in (-1, 1)]
        cv2.rectangle(image, ends[0], ends[1], ink, -1)
    else:
        turns = np.sort(rng.uniform(0, 2 * np.pi, 9))
        corners = centre + reach * rng.uniform(0.4, 1.2, (9, 1)) * np.stack([np.cos(turns), np.sin(turns)], 1)
        cv2.fillPoly(image, [corners.astype(np.int32)], ink, cv2.LINE_AA)


def _weather(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Light across the face, bleached colours, in place."""
    height, width = image.shape[:2]
    slope = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * float(rng.normal(0, 0.12))
    slope = slope + np.linspace(-1, 1, width, dtype=np.float32)[None] * float(rng.normal(0, 0.12))
    grey = image.mean(2, keepdims=True)
    bleach = float(rng.uniform(0, 0.45))
    lit = (image * (1 - bleach) + grey * bleach) * (1 + slope[..., None]) * float(rng.uniform(0.55, 1.05))
    image[:] = np.clip(lit, 0, 255).astype(np.uint8)
