"""The files that score maps come in, one reader each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError, ScoreMapError, cause
from oodseg.core.input_warnings import name_few
from oodseg.core.installing import install_extra
from oodseg.core.texts import read_text
from oodseg.io.tiffs import read_tiff_header
from oodseg.io.wide import turn_upright

_KEYS = ("score", "scores", "anomaly_scores")
_HDF5_KEY = "value"


def _read_numpy(path: Path) -> NDArray[Any]:
    """Reads an array, or the one that is meant of several, whichever suffix the file has."""
    try:
        found = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        # What numpy says of files with more than numbers, or with none, advises to execute them.
        raise ScoreMapError(f"{path} holds no array of numbers: save it as float32 with numpy.save") from None
    if isinstance(found, np.ndarray):
        return found
    with found as archive:
        key = _only_key(archive.files, _KEYS)
        if key is None:
            raise ScoreMapError(
                f"{path} holds the arrays {', '.join(archive.files) or '(none)'}: "
                f"name the scores one of {', '.join(_KEYS)}"
            )
        return np.asarray(archive[key])


def _only_key(keys: list[str], preferred: tuple[str, ...]) -> str | None:
    named = [key for key in preferred if key in keys]
    return named[0] if named else keys[0] if len(keys) == 1 else None


def _read_grey(path: Path) -> NDArray[Any]:
    import cv2

    # Decoded from bytes: OpenCV's own file reading fails silently, and on some paths always.
    data = path.read_bytes()
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        kind = path.suffix[1:].upper()
        raise ScoreMapError(f"{path} is not a {kind}, a damaged one, or of an unusual kind: save it as .npy")
    header = read_tiff_header(data)
    if header is not None and header.pages > 1:
        raise ScoreMapError(f"{path} holds {header.pages} images: save one map per image")
    values = turn_upright(np.asarray(values), path)
    if values.ndim == 2:
        return values
    # Palettes and copies of grey arrive as colours that are all alike.
    opaque = values.shape[2] == 3 or (values[..., 3] == values[..., 3].max()).all()
    if not opaque or (values[..., :3] != values[..., :1]).any():
        raise ScoreMapError(
            f"{path} is a colour image of scores: save the scores themselves as grey of 16 bits, or as .npy"
        )
    return np.ascontiguousarray(values[..., 0])


def _read_hdf5(path: Path) -> NDArray[Any]:
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            f"reading {path} needs h5py: install it with `{install_extra('hdf5')}`"
        ) from None
    with h5py.File(path, "r") as file:
        if _HDF5_KEY not in file:
            raise ScoreMapError(
                f"{path} holds {', '.join(file) or 'nothing'}: the scores must be the data set '{_HDF5_KEY}'"
            )
        return np.asarray(file[_HDF5_KEY])


def _read_table(path: Path) -> NDArray[Any]:
    """Reads numbers between commas, semicolons, tabs or blanks, as tools write them.

    What stands around them is left out: comments (`#`), the names that pandas gives rows and columns, and a
    separator at the end of every row.
    """
    lines = [line.strip(" \r") for line in read_text(path).split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise ScoreMapError(f"{path} is empty: write the scores row by row")
    separator = next((each for each in ";\t," if each in lines[0]), None)
    if separator is not None and all(line.endswith(separator) for line in lines):
        lines = [line[:-1] for line in lines]
    cells = [cell.strip(' "') for cell in lines[0].split(separator)]
    columns = cells[1:] if not cells[0] else cells
    named = columns == [str(number) for number in range(len(columns))] and len(columns) > 1
    if separator == ";" and not any("." in line for line in lines):
        lines = [line.replace(",", ".") for line in lines]
    try:
        values = np.loadtxt(lines[named:], np.float64, delimiter=separator, ndmin=2, quotechar='"')
    except ValueError as error:
        raise ScoreMapError(
            f"{path} holds no table of numbers ({cause(error)}): write the scores row by row"
        ) from error
    return values[:, 1:] if named and not cells[0] else values


def _read_tensor(path: Path) -> NDArray[Any]:
    """Reads a tensor, or the one that is meant of several; nothing in the file is executed."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # what torch says of files with more than tensors advises to execute them
        raise ScoreMapError(
            f"{path} holds more than tensors, or is damaged: save the scores alone, as a tensor or as .npy"
        ) from None
    if isinstance(found, dict):
        key = _only_key(list(map(str, found)), _KEYS)
        if key is None:
            held = name_few(list(found)) or "nothing"
            raise ScoreMapError(f"{path} holds {held}: name the scores one of {', '.join(_KEYS)}")
        found = found[key]
    if not isinstance(found, torch.Tensor):
        raise ScoreMapError(f"{path} holds a {type(found).__name__}: save the scores as one tensor")
    found = found.detach()
    return np.asarray(found.float() if found.dtype == torch.bfloat16 else found)


READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    **dict.fromkeys((".npy", ".npz"), _read_numpy),
    **dict.fromkeys((".png", ".tif", ".tiff"), _read_grey),
    **dict.fromkeys((".hdf5", ".h5"), _read_hdf5),
    ".csv": _read_table,
    ".pt": _read_tensor,
}
"""The reader of every suffix."""
