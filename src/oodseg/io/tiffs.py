"""TIFF files of a kind that Pillow cannot read, such as floats in RGB."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError
from oodseg.io.pages import warn_if_several
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
        pages: Images in the file, smaller copies of the first left out.
    """

    height: int
    width: int
    orientation: int
    channels: int
    bits: int
    end: int
    pages: int


def read_tiff_header(data: bytes) -> TiffHeader | None:
    """Reads the header of a TIFF file; None if the bytes are no TIFF, or a broken one."""
    if data[:4] not in _MARKS:
        return None
    directories = _directories(data)
    tags = next(directories, {})
    if not {_WIDTH, _HEIGHT} <= tags.keys():
        return None
    size = tags[_WIDTH], tags[_HEIGHT]
    others = sum((each.get(_WIDTH), each.get(_HEIGHT)) == size for each in directories)
    turned = tags.get(_ORIENTATION, (1,))[0]
    starts, lengths = ([n for tag in each for n in tags.get(tag, ())] for each in (_STARTS, _LENGTHS))
    return TiffHeader(
        height=tags[_HEIGHT][0],
        width=tags[_WIDTH][0],
        orientation=turned if turned in range(1, 9) else 1,
        channels=tags.get(_CHANNELS, (1,))[0],
        bits=tags.get(_BITS, (1,))[0],
        end=max((start + length for start, length in zip(starts, lengths, strict=False)), default=0),
        pages=1 + others,
    )


def read_tiff(data: bytes, name: str) -> NDArray[Any] | None:
    """Reads the first image of a TIFF file as it is stored, upright; warns where there are others.

    Args:
        data: The file.
        name: How errors and warnings call it.

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
    warn_if_several(header.pages, name)
    if header.end > len(data):
        raise ImageError(f"{name} is truncated or damaged: copy or export it again")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim not in {2, 3}:
        raise ImageError(
            f"{name} is a TIFF of a kind that is not read here ({header.channels} channels of {header.bits} "
            "bits), or a damaged one: save it in grey or RGB with 8 or 16 bits per channel"
        )
    return np.asarray(values)


def _directories(data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """The numbers that are wanted of every directory of a TIFF file, by tag; up to the first broken one."""
    order, big = ("<" if data[:2] == b"II" else ">"), _BIG in data[2:4]
    offset, field = ("Q", 8) if big else ("I", 4)
    seen: set[int] = set()
    with suppress(struct.error, OverflowError, MemoryError):
        (place,) = struct.unpack_from(order + offset, data, field)
        while place and place not in seen:  # a damaged file may lead back
            seen.add(place)
            tags, end = _directory(data, place, order, offset)
            yield tags
            (place,) = struct.unpack_from(order + offset, data, end)


def _directory(data: bytes, place: int, order: str, offset: str) -> tuple[dict[int, tuple[int, ...]], int]:
    """The numbers that are wanted of one directory, and where the place of the next one stands.

    Raises:
        struct.error: The file ends before.
    """
    count, entry, field = ("Q", 20, 8) if offset == "Q" else ("H", 12, 4)
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
    return found, place
