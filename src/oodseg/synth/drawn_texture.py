"""Makes drawn things look photographed: noise, rounding and a small drawing pen.

All noise is cut from a few fields that are computed once with a fixed seed; only the cuts come from the
caller's generator. That is many times cheaper than fresh noise and just as deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]
Light = tuple[float, float]  # where the light comes from, (x, y), y down
Point = Sequence[float] | npt.NDArray[Any]
Points = Sequence[Sequence[float]] | npt.NDArray[Any]

FIELD = 1024
SUBPIXEL = 4  # fractional bits of the coordinates handed to OpenCV


@lru_cache(maxsize=4)
def noise_field(kind: str) -> Floats:
    """Returns a fixed noise field, float32 `[FIELD, FIELD]`, mean 0, standard deviation 1.

    Args:
        kind: `"white"` (independent pixels), `"grain"` (details of 1 to 8 pixels) or `"cloud"` (1/f, up to
            256 pixels).
    """
    rng = np.random.default_rng({"white": 11, "grain": 12, "cloud": 13}[kind])
    cells = {"white": [1], "grain": [1, 2, 4, 8], "cloud": [2, 4, 8, 16, 32, 64, 128, 256]}[kind]
    total = np.zeros((FIELD, FIELD), np.float32)
    for cell in cells:
        coarse = rng.standard_normal((FIELD // cell, FIELD // cell)).astype(np.float32)
        layer = coarse if cell == 1 else cv2.resize(coarse, (FIELD, FIELD), interpolation=cv2.INTER_CUBIC)
        total += layer * (cell**0.8 if kind == "cloud" else 1.0)
    normal: Floats = ((total - total.mean()) / total.std()).astype(np.float32)
    return normal


def noise(rng: np.random.Generator, height: int, width: int, kind: str, scale: float = 1.0) -> Floats:
    """Cuts a piece of noise.

    Args:
        rng: Where the cut lies.
        height: Rows wanted.
        width: Columns wanted.
        kind: See `noise_field`.
        scale: Output pixels per field pixel; raised where the field would be too small.

    Returns:
        Float32 `[height, width]`, mean about 0, standard deviation about 1.
    """
    scale = max(scale, height / (FIELD - 2), width / (FIELD - 2))
    rows, columns = max(2, round(height / scale)), max(2, round(width / scale))
    top, left = rng.integers(0, FIELD - rows + 1), rng.integers(0, FIELD - columns + 1)
    cut = noise_field(kind)[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    if cut.shape == (height, width):
        return np.ascontiguousarray(cut)
    interpolation = cv2.INTER_LINEAR if scale >= 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(cut, (width, height), interpolation=interpolation), np.float32)


def tint(rng: np.random.Generator, colour: Colour, spread: float = 12.0) -> Colour:
    """Moves a colour a little: brightness together, hue less."""
    shift = rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    moved = np.clip(np.asarray(colour) + shift, 4, 251)
    return (float(moved[0]), float(moved[1]), float(moved[2]))


def scaled(colour: Colour, factor: float) -> Colour:
    """Multiplies a colour and keeps it in 0..255."""
    return (min(255.0, colour[0] * factor), min(255.0, colour[1] * factor), min(255.0, colour[2] * factor))


def fixed(points: Points) -> npt.NDArray[np.int32]:
    """Coordinates in the fixed-point form that OpenCV draws with `shift=SUBPIXEL`."""
    array = np.clip(np.asarray(points, np.float64), -30000, 30000)
    return np.round(array * (1 << SUBPIXEL)).astype(np.int32)


class Pen:
    """Draws an object in units of its own height onto a small transparent canvas.

    Coordinates are `(x, y)` with y down, 0..1 the canvas height, x up to `aspect`.
    """

    def __init__(self, size: int, aspect: float = 1.0) -> None:
        self.size = size
        self.rgb: Bytes = np.zeros((size, max(2, round(size * aspect)), 3), np.uint8)
        self.alpha: Bytes = np.zeros(self.rgb.shape[:2], np.uint8)

    def poly(self, points: Points, colour: Colour) -> None:
        """Fills a polygon."""
        corners = fixed(np.asarray(points) * self.size)
        cv2.fillPoly(self.rgb, [corners], colour, cv2.LINE_8, SUBPIXEL)
        cv2.fillPoly(self.alpha, [corners], 255, cv2.LINE_8, SUBPIXEL)

    def rect(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fills an upright rectangle."""
        self.poly([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, centre: Point, axes: tuple[float, float], colour: Colour, angle: float = 0.0) -> None:
        """Fills an ellipse of half axes `axes`, turned by `angle` degrees."""
        arc = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        turn = np.deg2rad(angle)
        a, b = axes
        x, y = a * np.cos(arc), b * np.sin(arc)
        rim = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
        self.poly(rim + np.asarray(centre), colour)

    def limb(self, points: Points, widths: Sequence[float], colour: Colour) -> None:
        """Draws a tapering limb through points with a width at each."""
        path = np.asarray(points, np.float64)
        for (p, q), (a, b) in zip(pairwise(path), pairwise(widths), strict=True):
            along = q - p
            normal = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-9)
            near, far = normal * a / 2, normal * b / 2
            self.poly(np.stack([p + near, q + far, q - far, p - near]), colour)
            self.ellipse(p, (a / 2, a / 2), colour)
            self.ellipse(q, (b / 2, b / 2), colour)

    def rounded(self, roundness: float, light: Light, contrast: float = 0.45) -> None:
        """Shades the canvas as if it bulged towards the camera.

        Args:
            roundness: Width of the bulging rim in canvas heights.
            light: Direction the light comes from, `(x, y)`, y down.
            contrast: Strength of the shading.
        """
        radius = max(2.0, roundness * self.size)
        inside = cv2.distanceTransform(
            cv2.copyMakeBorder(self.alpha, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), cv2.DIST_L2, 3
        )[1:-1, 1:-1]
        bulge = np.minimum(inside / radius, 1.0)
        bulge = cv2.GaussianBlur(np.sqrt(bulge * (2.0 - bulge)) * radius, (0, 0), max(0.6, radius / 5))
        dx = cv2.Sobel(bulge, cv2.CV_32F, 1, 0, scale=0.125)
        dy = cv2.Sobel(bulge, cv2.CV_32F, 0, 1, scale=0.125)
        lit = -(dx * light[0] + dy * light[1]) / np.sqrt(1.0 + dx * dx + dy * dy)
        self.multiply(1.0 + contrast * lit)

    def noise(self, rng: np.random.Generator, kind: str, scale: float = 1.0) -> Floats:
        """Draws a piece of noise as large as the canvas; see `noise`."""
        height, width = self.alpha.shape
        return noise(rng, height, width, kind, scale)

    def multiply(self, gain: Floats) -> None:
        """Multiplies the colours by a gain `[size, width]`."""
        self.rgb = np.clip(self.rgb * gain[..., None], 0, 255).astype(np.uint8)

    def speckle(self, rng: np.random.Generator, amount: float, scale: float = 1.0) -> None:
        """Multiplies by fine noise (fur, cloth, rust)."""
        self.multiply(1.0 + amount * self.noise(rng, "grain", scale))

    def spots(self, rng: np.random.Generator, colour: Colour, share: float, scale: float) -> None:
        """Paints smooth patches of another colour over about `share` of the object."""
        cut = self.noise(rng, "cloud", scale)
        where = (cut > np.quantile(cut[::4, ::4], 1.0 - share)) & (self.alpha > 0)
        self.rgb[where] = np.asarray(colour, np.uint8)

    def stripes(self, colour: Colour, period: float, angle: float, wobble: Floats | None = None) -> None:
        """Paints stripes over the object, `period` in canvas heights, `angle` in degrees."""
        y, x = np.mgrid[: self.alpha.shape[0], : self.alpha.shape[1]].astype(np.float32) / self.size
        turn = np.deg2rad(angle)
        phase = (x * np.cos(turn) + y * np.sin(turn)) / period
        if wobble is not None:
            phase = phase + 0.25 * wobble
        self.rgb[(np.mod(phase, 1.0) < 0.5) & (self.alpha > 0)] = np.asarray(colour, np.uint8)

    def sprite(self) -> tuple[Bytes, Bytes]:
        """Cuts the drawn object to its extent: RGB uint8 `[h, w, 3]` and alpha uint8 `[h, w]`."""
        rows, columns = np.flatnonzero(self.alpha.any(1)), np.flatnonzero(self.alpha.any(0))
        if not len(rows):
            return self.rgb[:1, :1], np.full((1, 1), 255, np.uint8)
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return self.rgb[box], self.alpha[box]
