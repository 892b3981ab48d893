"""Tells by the structure of a video file whether its end is missing.

Decoders read up to where a file breaks off and stop as at its end. What a file says of its own length tells
the two apart: elements of Matroska and WebM, boxes of MP4 and QuickTime and chunks of AVI begin with their
size, and MPEG transport streams consist of packets of one size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"moof", b"pnot"})
_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes, and where in a packet its mark stands
_MARK = 0x47


def is_cut_off(path: str | os.PathLike[str]) -> bool:
    """Tells whether a video file ends before it should; False where its format does not tell.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(1024)
        if head[:4] == _EBML.to_bytes(4, "big"):
            ends = _matroska(file)
        elif head[4:8] in _BOXES:
            ends = _boxes(file, size)
        elif head[:4] == b"RIFF":
            ends = _chunks(file)
        else:
            return any(size % packet for packet, mark in _PACKETS if set(head[mark::packet]) == {_MARK})
        return any(end > size for end in ends)


def _matroska(file: BinaryIO) -> Iterator[int]:
    """Gives where elements end; of one whose size is not said, as in a live recording, where its parts do."""
    position = 0
    while True:
        file.seek(position)
        name, length = _variable(file, keep=True), _variable(file, keep=False)
        if name is None or length is None:
            return
        begin = file.tell()
        position, unknown = begin + length[0], length[0] == (1 << (7 * length[1])) - 1
        if unknown and name[0] not in (_SEGMENT, _CLUSTER):
            return
        if unknown:
            position = begin
        else:
            yield position


def _variable(file: BinaryIO, *, keep: bool) -> tuple[int, int] | None:
    """A number of variable length and its bytes; None at the end. `keep` the bit that marks the length."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    count = 9 - first[0].bit_length()
    data = first + file.read(count - 1)
    if len(data) < count:
        return None
    value = int.from_bytes(data, "big")
    return (value if keep else value - (1 << (7 * count))), count


def _boxes(file: BinaryIO, size: int) -> Iterator[int]:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file, wherever that is; else it is no box
            return
        position += length
        yield position


def _chunks(file: BinaryIO) -> Iterator[int]:
    position = 0
    while True:
        file.seek(position)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        # Programs that were killed leave 0 or the largest number.
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            return
        position += 8 + length
        yield position
