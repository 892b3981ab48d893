"""Tells containers of video by their first bytes.

FFmpeg opens far more than files that hold a video: playlists and session descriptions among them, which name
other files and addresses to read. Nothing of that kind may come from someone unknown.
"""

from __future__ import annotations

HEAD = 400  # bytes that have to be seen
_TS_PACKET = 188
_BEGINNINGS = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"\x00\x00\x01\xba": "mpeg",
    b"FLV": "flv",
    b"OggS": "ogg",
}
_QUICKTIME = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


def container_of(head: bytes) -> str | None:
    """Names the container that a file begins as; None if it is none that is taken.

    Args:
        head: The first `HEAD` bytes of the file, or all of a shorter one.
    """
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    if head[4:8] in _QUICKTIME:
        return "mp4"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    # A stream of packets, each of which begins with the same byte.
    return "mpegts" if len(head) > 2 * _TS_PACKET and set(head[::_TS_PACKET]) == {0x47} else None
