"""TIFF files of a kind that Pillow cannot read, such as floats in RGB."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.io.sizes import check_size

_MARKS = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _CHANNELS = 256, 257, 258, 274, 277  # tags
_STARTS, _LENGTHS = (273, 324), (279, 325)  # of strips and of tiles
_WANTED = {_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _CHANNELS, *_STARTS, *_LENGTHS}
_KINDS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of whole numbers
_BIG = 43


@dataclass(frozen=True)
class TiffHeader:
    """Holds what the header of a TIFF file says.

    Attributes:
        height: Rows, as they are stored.
        width: Columns, likewise.
        orientation: 1 upright, to 8, as EXIF has it.
        channels: Numbers per pixel.
        bits: Of each number.
        end: Bytes that the file must have for all of its pixels.
    """

    height: int
    width: int
    orientation: int
    channels: int
    bits: int
    end: int


def read_tiff_header(data: bytes) -> TiffHeader | None:
    """Reads the header of a TIFF file; None if the bytes are no TIFF, or a broken one."""
    if data[:4] not in _MARKS:
        return None
    try:
        tags = _first_directory(data)
    except (struct.error, OverflowError, MemoryError):
        return None
    if not {_WIDTH, _HEIGHT} <= tags.keys():
        return None
    turned = tags.get(_ORIENTATION, (1,))[0]
    starts, lengths = ([n for tag in each for n in tags.get(tag, ())] for each in (_STARTS, _LENGTHS))
    return TiffHeader(
        height=tags[_HEIGHT][0],
        width=tags[_WIDTH][0],
        orientation=turned if turned in range(1, 9) else 1,
        channels=tags.get(_CHANNELS, (1,))[0],
        bits=tags.get(_BITS, (1,))[0],
        end=max((start + length for start, length in zip(starts, lengths, strict=False)), default=0),
    )


def read_tiff(data: bytes, name: str) -> NDArray[Any] | None:
    """Reads the first image of a TIFF file as it is stored, upright.

    Returns:
        `[H, W]` or `[H, W, C]` of any kind of number: blue, green, red, and alpha where there is one; None if
        the bytes are no TIFF.

    Raises:
        ImageError: It is too small or too large, damaged, or nothing here can read its kind.
    """
    import cv2

    header = read_tiff_header(data)
    if header is None:
        return None
    check_size(header.height, header.width, name)
    if header.end > len(data):
        raise ImageError(f"{name} is truncated or damaged: copy or export it again")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim not in {2, 3}:
        raise ImageError(
            f"{name} is a TIFF of a kind that is not read here ({header.channels} channels of {header.bits} "
            "bits), or a damaged one: save it in grey or RGB with 8 or 16 bits per channel"
        )
    return np.asarray(values)


def _first_directory(data: bytes) -> dict[int, tuple[int, ...]]:
    """The numbers that are wanted of the first directory of a TIFF file, by tag.

    Raises:
        struct.error: The file ends before.
    """
    order, offset, count, entry, field = ("<" if data[:2] == b"II" else ">"), "I", "H", 12, 4
    if _BIG in data[2:4]:
        offset, count, entry, field = "Q", "Q", 20, 8
    (place,) = struct.unpack_from(order + offset, data, field)
    (entries,) = struct.unpack_from(order + count, data, place)
    place += struct.calcsize(order + count)
    found: dict[int, tuple[int, ...]] = {}
    for _ in range(entries):
        tag, kind, numbers = struct.unpack_from(f"{order}HH{offset}", data, place)
        if tag in _WANTED and tag not in found and kind in _KINDS and numbers:
            values = f"{order}{numbers}{_KINDS[kind]}"
            at = place + entry - field
            if struct.calcsize(values) > field:
                (at,) = struct.unpack_from(order + offset, data, at)
            found[tag] = struct.unpack_from(values, data, at)
        place += entry
    return found
