"""Tells files of volumes from each other: NIfTI, and formats of which NIfTI is to be made first."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from oodseg.core.errors import ImageError

SUFFIXES = (".nii", ".nii.gz")
_STARTS = {struct.pack(f"{order}i", size) for order in "<>" for size in (348, 540)}  # of a NIfTI header
_DICOM, _DICOM_AT = b"DICM", 128
_GENERAL = "open it in 3D Slicer or ITK-SNAP and save it as {made}"
# By suffix: what people call the format, and how NIfTI is made of it.
_FOREIGN = {
    ".mgz": ("a FreeSurfer volume", "run `mri_convert {path} {made}`"),
    ".mgh": ("a FreeSurfer volume", "run `mri_convert {path} {made}`"),
    ".mnc": ("a MINC volume", "run `mnc2nii {path} {made}`"),
    ".nrrd": ("an NRRD volume", _GENERAL),
    ".nhdr": ("an NRRD volume", _GENERAL),
    ".mha": ("a MetaImage volume", _GENERAL),
    ".mhd": ("a MetaImage volume", _GENERAL),
    ".gipl": ("a GIPL volume", _GENERAL),
}
_DICOM_SUFFIXES = (".dcm", ".ima")
_MARKS = {b"NRRD": ".nrrd", b"ObjectType": ".mha", b"NDims": ".mha"}


def is_volume(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is named like a NIfTI file."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def is_foreign_volume(path: Path) -> bool:
    """Tells whether a path is named like a volume of another format."""
    return path.suffix.lower() in _FOREIGN


def volume_name(path: Path) -> str:
    """Returns the file name without `.nii` or `.nii.gz`."""
    name = path.name
    return next((name[: -len(each)] for each in SUFFIXES if name.lower().endswith(each)), path.stem)


def check_format(path: Path) -> None:
    """Checks that a file is of no other format, and compressed if its name says so: nibabel goes by the name.

    Raises:
        ImageError: It is; the message says how to make NIfTI of it.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(_DICOM_AT + len(_DICOM))
    suffix = path.suffix.lower()
    if start[_DICOM_AT:] == _DICOM or suffix in _DICOM_SUFFIXES:
        raise ImageError(
            f"{path} is a DICOM file: make NIfTI of its series with `dcm2niix {path.parent}` and name that"
        )
    foreign = next((kind for mark, kind in _MARKS.items() if start.startswith(mark)), suffix)
    if foreign in _FOREIGN:
        kind, how = _FOREIGN[foreign]
        made = path.with_name(f"{volume_name(path)}.nii.gz")
        raise ImageError(f"{path} is {kind}, not NIfTI: {how.format(path=path, made=made)}")
    named = path.name.lower().endswith(".gz")
    if named and start[:4] in _STARTS:
        raise ImageError(f"{path} is not compressed as it says: rename it to {volume_name(path)}.nii")
    if not named and start[:2] == b"\x1f\x8b":
        raise ImageError(f"{path} is compressed: rename it to {volume_name(path)}.nii.gz")
