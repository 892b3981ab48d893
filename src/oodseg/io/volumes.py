"""Reads and writes NIfTI volumes, and shows their slices as images.

A volume is held in canonical orientation (axes to the patient's right, front and head: RAS+), however it was
stored, so that a slice looks the same to a network and to a person; results are written back in the
orientation and with the affine of the file they belong to.

Slices lie across the axis of the thickest voxels, the one along which a scanner saw least; across head to
foot where no other is clearly thicker, so that scans of about cubic voxels are all cut alike. They are shown
as radiologists look at them: the front (or head) up, the patient's right on the left.
"""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, ImageError, MissingDependencyError, cause
from oodseg.core.files import write_bytes
from oodseg.core.input_warnings import warn_input
from oodseg.core.installing import install_extra
from oodseg.io.labels import whole_numbers
from oodseg.io.sizes import MIN_SIDE
from oodseg.io.volume_formats import check_format, is_volume

_AFFINE_TOLERANCE = 1e-2  # millimetres; files round their affines differently
_CLEARLY = 1.5  # times as thick
ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class Volume:
    """A volume in canonical orientation.

    Attributes:
        path: The file it was read from.
        values: `[X, Y, Z]`, towards the patient's right, front and head: float32 of a scan, uint8 of labels.
        spacing: Size of a voxel along X, Y and Z, millimetres.
        affine: Float64 `[4, 4]` of the canonical orientation.
        stored_affine: Float64 `[4, 4]` of the file.
    """

    path: Path
    values: NDArray[Any]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    stored_affine: NDArray[np.float64]

    @property
    def slice_axis(self) -> int:
        """Axis of the thickest voxels; head to foot unless another is clearly thicker."""
        thickest = int(np.argmax(self.spacing))
        return thickest if self.spacing[thickest] > _CLEARLY * self.spacing[2] else 2


def read_volume(path: str | os.PathLike[str], volume: int | None = None) -> Volume:
    """Reads a scan.

    Args:
        path: NIfTI file.
        volume: Which volume of a file with several along a fourth dimension (times, echoes), from 0.

    Returns:
        The volume with float32 values (Hounsfield units of a CT), finite.

    Raises:
        ImageError: Missing, damaged, no NIfTI, not three-dimensional, or with slices too small to look at;
            one value everywhere; a volume that the file does not hold, or several and none was chosen.
        MissingDependencyError: nibabel is not installed.
    """
    path = Path(path)
    raw, affine = _load(path, volume, "choose one with --volume")
    values = raw.astype(np.float32)
    finite = np.isfinite(values)
    bad = values.size - int(np.count_nonzero(finite))
    if bad:
        warn_input(f"{path}: {bad} of {values.size} voxels were NaN or infinite and count as 0")
        values = np.where(finite, values, np.float32(0))
    scan = _canonical(path, values, affine)
    if values.min() == values.max():
        raise ImageError(f"{path} is {values.min():g} everywhere, so it shows nothing: export it again")
    return scan


def read_labels(path: str | os.PathLike[str], scan: Volume | None = None) -> Volume:
    """Reads a label volume.

    Args:
        path: NIfTI file of whole numbers 0..255, to about a thousandth.
        scan: The scan it belongs to; checked if given.

    Returns:
        The volume with uint8 values.

    Raises:
        ImageError: See `read_volume`.
        DatasetError: Values that are not labels; or another shape, orientation or place than the scan.
        MissingDependencyError: nibabel is not installed.
    """
    path = Path(path)
    raw, affine = _load(path, None, "save one alone")
    codes = whole_numbers(raw, 255)  # a slope in the header leaves small errors
    if codes is None:
        raise DatasetError(
            f"{path} holds values from {float(raw.min()):g} to {float(raw.max()):g} that are not labels: "
            "give a volume of whole numbers 0..255, one per structure (was the scan given in its place?)"
        )
    labels = _canonical(path, codes.astype(np.uint8), affine)
    if scan is not None:
        check_match(scan, labels)
    return labels


def check_match(scan: Volume, labels: Volume) -> None:
    """Checks that a label volume is aligned with a scan voxel by voxel.

    Raises:
        DatasetError: Another shape, or another place or orientation in space.
    """
    if scan.values.shape != labels.values.shape:
        raise DatasetError(
            f"the labels {labels.path} have {_size(labels)} voxels and the scan {scan.path} {_size(scan)}: "
            "resample the labels to the scan, or give the scan they were made from"
        )
    gap = float(np.abs(_corners(scan) - _corners(labels)).max())
    # A part of a voxel is rounding; beyond it, labels would lie beside their structures.
    if gap > max(_AFFINE_TOLERANCE, 0.1 * min(scan.spacing)):
        raise DatasetError(
            f"the labels {labels.path} lie elsewhere than the scan {scan.path} (their affines put the same "
            f"voxel up to {gap:.3g} mm apart): resample the labels to the scan, or give the scan they were "
            "made from"
        )


def write_volume(path: str | os.PathLike[str], values: NDArray[Any], like: Volume) -> None:
    """Writes canonical values as NIfTI, in orientation, affine and unit of the file that `like` is of.

    Args:
        path: `.nii` or `.nii.gz`; written whole or not at all.
        values: `[X, Y, Z]` in canonical orientation, of `like`'s shape.
        like: The volume it belongs to.

    Raises:
        OodsegError: The file cannot be written.
    """
    nibabel = _nibabel()
    orientations = nibabel.orientations
    back = orientations.ornt_transform(
        nibabel.io_orientation(like.affine), nibabel.io_orientation(like.stored_affine)
    )
    stored = orientations.apply_orientation(values, back)
    image = nibabel.Nifti1Image(stored, like.stored_affine)
    image.header.set_xyzt_units(_unit(like.path))
    data: bytes = image.to_bytes()
    # Without a time inside, equal volumes are equal files.
    write_bytes(path, gzip.compress(data, 6, mtime=0) if _is_named(Path(path), ".gz") else data)


def take_slice(values: NDArray[ScalarT], axis: int, index: int) -> NDArray[ScalarT]:
    """Takes a slice of `[X, Y, Z]` as it is displayed: `[H, W]`, front or head up, right on the left."""
    return np.ascontiguousarray(np.take(values, index, axis).T[::-1, ::-1])


def put_slice(values: NDArray[ScalarT], axis: int, index: int, image: NDArray[ScalarT]) -> None:
    """Puts `[H, W]` where `take_slice` takes it from."""
    where: list[Any] = [slice(None)] * 3
    where[axis] = index
    values[tuple(where)] = image[::-1, ::-1].T


def usual_window(scan: Volume) -> tuple[float, float]:
    """Returns the default values that become black and white: the 0.5 and 99.5 % quantiles of the scan."""
    low, high = np.quantile(scan.values, [0.005, 0.995])
    return float(low), float(max(high, low + 1e-6))


def to_grey(values: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Values as a grey image.

    Args:
        values: Float32 `[H, W]`.
        window: Value that becomes black, and value that becomes white.

    Returns:
        uint8 `[H, W, 3]`.
    """
    low, high = window
    grey = np.rint(((values - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey[:, :, None], (*grey.shape, 3)))


def _load(path: Path, volume: int | None, remedy: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values as stored and scaled, `[I, J, K]`, and affine; see `read_volume`."""
    nibabel = _nibabel()
    if path.is_dir():
        raise ImageError(f"{path} is a folder: name one NIfTI file (dcm2niix makes one of DICOM files)")
    if not path.is_file():
        raise ImageError(f"{path} does not exist: check the path for typing errors")
    try:
        check_format(path)
        image = nibabel.load(path)
        count = image.shape[3] if len(image.shape) == 4 else 1
        chosen = 0 if count == 1 and volume is None else volume
        known = chosen is not None and 0 <= chosen < count
        if known:
            values = np.asarray(image.dataobj[..., chosen] if len(image.shape) == 4 else image.dataobj)
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error
    except Exception as error:  # nibabel, gzip and zlib raise all kinds of errors
        remedy = "copy or export it again" if is_volume(path) else "give a .nii or .nii.gz"
        raise ImageError(f"{path} is not a complete NIfTI file ({cause(error)}): {remedy}") from error
    if not known:
        asked = "" if volume is None else f", no number {volume}"
        held = "one volume" if count == 1 else f"{count} volumes, 0 to {count - 1}"
        raise ImageError(f"{path} holds {held}{asked}: {remedy}")
    if values.ndim != 3 or values.dtype.kind not in "biuf":
        raise ImageError(
            f"{path} is of shape {'x'.join(map(str, values.shape))} and type {values.dtype}: give one volume "
            "of numbers in three dimensions"
        )
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ImageError(f"{path} says nothing usable about its place in space: export it again")
    return values, affine


def _canonical(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> Volume:
    nibabel = _nibabel()
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    spacing = nibabel.affines.voxel_sizes(turned.affine)
    found = Volume(
        path,
        np.asarray(turned.dataobj),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        np.asarray(turned.affine, np.float64),
        affine,
    )
    sides = [found.values.shape[axis] for axis in range(3) if axis != found.slice_axis]
    if min(sides) < MIN_SIDE:
        raise ImageError(
            f"{path} has slices of {sides[0]}x{sides[1]} voxels: nothing can be judged in a slice with a "
            f"side under {MIN_SIDE}"
        )
    return found


def _corners(volume: Volume) -> NDArray[np.float64]:
    """Returns the positions of the first and the last voxel along every axis, in millimetres."""
    last = np.array(volume.values.shape) - 1
    corners = np.vstack([np.zeros(3), np.diag(last), last])
    return np.asarray(corners @ volume.affine[:3, :3].T + volume.affine[:3, 3], np.float64)


def _unit(path: Path) -> str:
    """The unit of lengths in a file; millimetres where it says none, or is gone."""
    found = "unknown"
    with suppress(Exception):
        found = str(_nibabel().load(path).header.get_xyzt_units()[0])
    return "mm" if found == "unknown" else found


def _is_named(path: Path, suffix: str) -> bool:
    return path.name.lower().endswith(suffix)


def _size(volume: Volume) -> str:
    return "x".join(map(str, volume.values.shape))


def _nibabel() -> Any:
    try:
        import nibabel
    except ModuleNotFoundError as error:
        if error.name != "nibabel":
            raise
        raise MissingDependencyError(
            f"volumes are read with the library nibabel: {install_extra('medical')}"
        ) from error
    return nibabel
