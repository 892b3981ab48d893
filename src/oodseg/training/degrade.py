"""Simulates what a street camera does to an image, and a weak detector to its score map."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg.training.shot import Shot

_SMALLEST_TARGET = 12


def degrade(shot: Shot, rng: np.random.Generator) -> Shot:
    """Mirrors, turns, cuts at the border, shrinks, blurs and compresses a shot, each at random.

    Returns:
        A shot whose target is never empty.
    """
    if rng.random() < 0.5:
        shot = _part(shot, (slice(None), slice(None, None, -1)))
    if rng.random() < 0.25:
        shot = _turned(shot, rng)
    if rng.random() < 0.12:
        shot = _cut(shot, rng)
    rows, columns = np.flatnonzero(shot.target.any(axis=1)), np.flatnonzero(shot.target.any(axis=0))
    longest = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    if rng.random() < 0.5 and longest > 24:
        shot = _shrunk(shot, float(np.exp(rng.uniform(np.log(14), np.log(longest)))) / longest)
    image = shot.image
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(1, 9), image.shape)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(30, 95))
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return replace(shot, image=image)


def _part(shot: Shot, kept: tuple[slice, slice]) -> Shot:
    """The shot's kept rows and columns."""
    return replace(
        shot,
        image=np.ascontiguousarray(shot.image[kept]),
        target=np.ascontiguousarray(shot.target[kept]),
        others=np.ascontiguousarray(shot.others[kept]),
    )


def _turned(shot: Shot, rng: np.random.Generator) -> Shot:
    height, width = shot.target.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-20, 20), rng.uniform(0.85, 1.15))
    image = cv2.warpAffine(
        shot.image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    target, others = (
        cv2.warpAffine(each.astype(np.uint8), turn, (width, height), flags=cv2.INTER_NEAREST) > 0
        for each in (shot.target, shot.others)
    )
    return type(shot)(image, target, others) if target.sum() >= _SMALLEST_TARGET else shot


def _cut(shot: Shot, rng: np.random.Generator) -> Shot:
    """Lets a border of the image cut through the target."""
    columns = np.flatnonzero(shot.target.any(axis=0))
    rows = np.flatnonzero(shot.target.any(axis=1))
    share = rng.uniform(0.1, 0.6)
    keep_rows, keep_columns = slice(None), slice(None)
    side = int(rng.integers(4))
    if side == 0:
        keep_columns = slice(int(columns[0] + share * len(columns)), None)
    elif side == 1:
        keep_columns = slice(0, int(columns[-1] + 1 - share * len(columns)))
    elif side == 2:
        keep_rows = slice(int(rows[0] + share * len(rows)), None)
    else:
        keep_rows = slice(0, int(rows[-1] + 1 - share * len(rows)))
    kept = (keep_rows, keep_columns)
    if shot.target[kept].sum() < _SMALLEST_TARGET:
        return shot
    return _part(shot, kept)


def _shrunk(shot: Shot, scale: float) -> Shot:
    size = max(8, round(shot.target.shape[1] * scale)), max(8, round(shot.target.shape[0] * scale))
    image = cv2.resize(shot.image, size, interpolation=cv2.INTER_AREA)
    target, others = (
        cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
        for each in (shot.target, shot.others)
    )
    return type(shot)(image, target, others) if target.sum() >= _SMALLEST_TARGET else shot


def shift_colours(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Changes brightness, contrast, gamma, saturation and tint of an RGB image at random."""
    if rng.random() < 0.2:
        return image
    values = np.arange(256, dtype=np.float32) / 255
    values = values ** np.exp(rng.normal(0, 0.25))
    values = (values - 0.5) * np.exp(rng.normal(0, 0.25)) + 0.5 + rng.normal(0, 0.08)
    table = values[:, None] * np.exp(rng.normal(0, 0.06, 3))
    table = (table * 255).clip(0, 255).astype(np.uint8)
    shifted = cv2.LUT(image, table[:, None, :])
    grey = cv2.cvtColor(shifted, cv2.COLOR_RGB2GRAY)[..., None]
    saturation = 0.0 if rng.random() < 0.03 else float(np.exp(rng.normal(0, 0.3)))
    mixed: NDArray[np.uint8] = cv2.addWeighted(
        shifted, saturation, np.broadcast_to(grey, shifted.shape).copy(), 1 - saturation, 0
    )
    return mixed


def _smooth_noise(size: int, cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    smooth: NDArray[np.float32] = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return smooth


def simulate_score(
    target: NDArray[np.float32], others: NDArray[np.float32], zoom: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Makes up the normalised score map a detector might give on a crop.

    The object is grown or shrunk, partly missed, uneven and blurred; other things may score too.

    Args:
        target: Float 0..1 `[size, size]`, the object.
        others: Float 0..1 `[size, size]`, other things.
        zoom: Crop pixels per pixel of the image (detectors work at 1/2 to 1/8 of the image).
        rng: Random generator.

    Returns:
        Float32 `[size, size]`, about 0 with deviation 1 off the objects, about 6 on them.
    """
    size = target.shape[0]
    shape = target.copy()
    radius = int(rng.integers(1, 7))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    change = rng.random()
    if change < 0.3:
        shape = cv2.erode(shape, kernel)
    elif change < 0.7:
        shape = cv2.dilate(shape, kernel)
    if rng.random() < 0.45:
        shape = shape * (_smooth_noise(size, int(rng.integers(3, 7)), rng) < rng.uniform(-0.3, 1.0))
    height = float(np.clip(rng.normal(6, 3), 0.5, 14))
    if rng.random() < 0.05:
        height = 0.0
    score = shape * height * (1 + 0.25 * _smooth_noise(size, 5, rng))
    if rng.random() < 0.5:
        score = np.maximum(score, others * float(np.clip(rng.normal(5, 3), 0, 14)))
    for _ in range(int(rng.integers(0, 3))):
        x, y = (float(rng.uniform(0, size)) for _ in range(2))
        spread = rng.uniform(3, 20, 2)
        grid = np.arange(size, dtype=np.float32)
        blob = np.exp(-0.5 * (((grid - x) / spread[0]) ** 2 + ((grid[:, None] - y) / spread[1]) ** 2))
        score = np.maximum(score, blob * float(np.clip(rng.normal(3, 2), 0, 10)))
    score = score + rng.uniform(0.3, 1.2) * _smooth_noise(size, int(rng.integers(3, 12)), rng)
    stride = float(np.exp(rng.uniform(np.log(2), np.log(8))))
    cells = int(np.clip(size / max(1.0, stride * zoom), 5, size))
    score = cv2.resize(score.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    score = score + rng.normal(0, rng.uniform(0, 0.5), score.shape).astype(np.float32)
    blurred: NDArray[np.float32] = cv2.resize(score, (size, size), interpolation=cv2.INTER_LINEAR)
    return blurred
