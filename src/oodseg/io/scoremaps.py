"""Anomaly scores computed elsewhere: reading, checking and pairing them with images.

Higher must mean more anomalous; the range does not matter. A map belongs to the image of the same name
(never to the one of the same position in the folder) and has its size, or its shape at another resolution.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError, ScoreMapError, cause
from oodseg.core.files import is_lfs_pointer
from oodseg.core.input_warnings import warn_input
from oodseg.io.score_readers import READERS

SUFFIXES = tuple(READERS)
_IMAGES = frozenset({".png", ".tif", ".tiff"})
_MIN_SIDE = 16
_LARGEST = 1e150  # its square, which statistics need, is a number still


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """A checked score map.

    Attributes:
        scores: Float32 `[h, w]`, or float64 where float32 would change a score; finite, higher = more
            anomalous; constant only if allowed.
        name: Its name in error messages: its path, if it has one.
    """

    scores: NDArray[np.floating[Any]]
    name: str = "the score map"

    def check_size(self, height: int, width: int) -> None:
        """Checks that the map covers an image of `height` x `width`.

        It does if its sides are those of the image scaled by one factor, to within one pixel of rounding.

        Raises:
            ScoreMapError: It does not.
        """
        h, w = self.scores.shape
        if not _covers(h, w, height, width):
            remedy = "save the scores at the image's size, or at a smaller size of the same shape"
            if _covers(w, h, height, width):
                remedy += "; the image may be turned by its EXIF orientation, which the scores have to follow"
            raise ScoreMapError(f"{self.name} is {w}x{h} pixels but its image is {width}x{height}: {remedy}")


def _covers(h: int, w: int, height: int, width: int) -> bool:
    """Tells whether `h` x `w` is `height` x `width` times one factor."""
    # The longer side gives the factor: rounding affects it least.
    expected = (h, round(width * h / height)) if height >= width else (round(height * w / width), w)
    return max(abs(h - expected[0]), abs(w - expected[1])) <= 1


def read_score_map(path: str | os.PathLike[str], *, allow_constant: bool = False) -> ScoreMap:
    """Reads a score map.

    `.npy`; `.npz` with one array or one named `score`, `scores` or `anomaly_scores`; PNG or TIFF, grey
    or copies of grey, upright (16 bits, scaled to 0..1; 8 bits with a warning; floats of TIFF as they are);
    `.hdf5` with a data set `value`, as SegmentMeIfYouCan has it; `.csv`, row by row; `.pt` with a tensor, or
    several as in `.npz`. Axes of length 1 are dropped.

    Args:
        path: The file.
        allow_constant: Whether one value everywhere is fine: it is for a confidence map, which is 0 all over
            where its image shows no object.

    Raises:
        ScoreMapError: Unreadable, not one 2-D map of numbers, all NaN, or constant.
        MissingDependencyError: An HDF5 file without h5py.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ScoreMapError(f"{path} is not a score map: save it as one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ScoreMapError(f"{path} does not exist: check the path for typing errors")
    try:
        if is_lfs_pointer(path):
            raise ScoreMapError(f"{path} only stands for a file in Git LFS: fetch it with `git lfs pull`")
        values = reader(path)
    except (ScoreMapError, MissingDependencyError):
        raise
    except Exception as error:  # numpy, zipfile, Pillow and h5py each raise their own errors
        remedy = "check its permissions" if isinstance(error, PermissionError) else "write it again"
        raise ScoreMapError(f"{path} cannot be read ({cause(error)}): {remedy}") from error
    if values.dtype.itemsize == 1 and values.dtype.kind in "biu":
        levels = 2 if values.dtype.kind == "b" else 256
        warn_input(f"{path} has only {levels} levels: 16-bit PNG or .npy of floats keeps faint objects apart")
    if path.suffix.lower() in _IMAGES and values.dtype.kind == "u":
        values = (values / np.iinfo(values.dtype).max).astype(np.float32)
    return as_score_map(values, str(path), allow_constant=allow_constant)


def as_score_map(values: Any, name: str = "the score map", *, allow_constant: bool = False) -> ScoreMap:
    """Checks scores that are in memory already (array `[h, w]` of numbers, higher = more anomalous).

    NaN and -Inf become the lowest, +Inf the highest finite score, with an `InputWarning`. Scores that are
    distinct stay so, or there is another one. For `allow_constant` see `read_score_map`.

    Raises:
        ScoreMapError: Not one 2-D map of numbers, under 16 pixels per side, all NaN, or constant.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ScoreMapError(f"{name} holds {values.dtype} instead of numbers: save it as float32")
    shape = values.shape
    values = values.squeeze()
    if values.ndim != 2:
        raise ScoreMapError(f"{name} has the shape {list(shape)}: save one map [height, width] per image")
    if min(values.shape) < _MIN_SIDE:
        raise ScoreMapError(
            f"{name} is too small ({values.shape[1]}x{values.shape[0]} pixels): "
            "save the scores at the image's size"
        )
    scores = values.astype(np.float64)
    finite = np.isfinite(scores)
    if not finite.any():
        raise ScoreMapError(
            f"{name} holds no finite value: the detector that wrote it has failed, run it again"
        )
    low, high = scores[finite].min(), scores[finite].max()
    if low == high and not allow_constant:
        raise ScoreMapError(
            f"{name} is {low:g} everywhere, so nothing stands out: "
            "check that it holds the scores and not a label"
        )
    bad = int(scores.size - np.count_nonzero(finite))
    if bad:
        scores = np.nan_to_num(scores, nan=low, posinf=high, neginf=low)
        warn_input(f"{name}: {bad} of {scores.size} scores were NaN or infinite and were replaced")
    elif _falls_together(values, scores):
        warn_input(
            f"{name}: distinct scores fall together in 64 bits: take their mean off before saving them"
        )
    if max(abs(low), abs(high)) > _LARGEST:
        scores = scores.clip(-_LARGEST, _LARGEST)
        warn_input(f"{name}: scores beyond {_LARGEST:g} were cut to that: save their logarithm")
    with np.errstate(over="ignore"):
        narrow = scores.astype(np.float32)
    return ScoreMap(narrow if np.array_equal(narrow, scores) else scores, name)


def _falls_together(values: NDArray[Any], scores: NDArray[np.float64]) -> bool:
    """Tells whether numbers of more digits than float64 has lost some of them."""
    wider = values.dtype.itemsize > 8 or (values.dtype.kind in "iu" and values.dtype.itemsize == 8)
    return wider and bool((values.astype(np.longdouble) != scores).any())
