"""Writes H.264 video: parts in memory, and one file of many parts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.files import atomic_path
from oodseg.io.container import import_av

_TICKS = 90_000  # per second: all usual frame rates divide it
_BASE = Fraction(1, _TICKS)
# A quality that the eye cannot tell from the original; frames in the order of their times, to be joined.
_OPTIONS = {"crf": "20", "preset": "veryfast", "bf": "0"}
_BT709 = 1


class Mp4Part:
    """Encodes frames into a video in memory that begins at 0 s and can be joined with others.

    Args:
        height: Rows of the frames; an odd number is padded by one.
        width: Columns likewise.
        rate: About how many frames come per second.
    """

    def __init__(self, height: int, width: int, rate: float | None) -> None:
        av = import_av()
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        self._stream = self._container.add_stream(
            "libx264", rate=Fraction(rate or 25.0).limit_denominator(1001), options=_OPTIONS
        )
        self._stream.height, self._stream.width = height + height % 2, width + width % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = _BASE
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = _BT709
        self._start: float | None = None

    def add(self, image: NDArray[np.uint8], time: float) -> None:
        """Adds a frame.

        Args:
            image: uint8 `[H, W, 3]` RGB.
            time: Seconds, later than that of the frame before; that of the first becomes 0.
        """
        av = import_av()
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._start is None:
            self._start = time
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = round((time - self._start) * _TICKS), _BASE
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        """Ends the video and gives the content of its file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()


def join_parts(target: str | os.PathLike[str], parts: Iterable[tuple[Path, float]]) -> None:
    """Joins parts into one video without encoding them again.

    Args:
        target: The mp4 file; written whole or not at all.
        parts: Files that `Mp4Part` gave the content of, and the times at which they begin, seconds; at least
            one. The first begins at 0, whatever its time.

    Raises:
        OodsegError: The file cannot be written.
    """
    av = import_av()
    with atomic_path(target) as temporary:
        # The index in front lets players begin before they have all of the file.
        output = av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"})
        with output:
            stream: Any = None
            origin = 0.0
            for path, time in parts:
                with av.open(str(path)) as part:
                    source = part.streams.video[0]
                    if stream is None:
                        stream, origin = output.add_stream_from_template(source), time
                    shift = round((time - origin) / source.time_base)
                    for packet in part.demux(source):
                        if packet.dts is not None:  # the last one is empty
                            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                            packet.stream = stream
                            output.mux(packet)
