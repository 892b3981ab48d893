"""Tells videos from images, and opens them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oodseg.core.errors import VideoError
from oodseg.io.container import CAMERA, ContainerVideo
from oodseg.io.frames import Video
from oodseg.io.sequence import ImageSequence

SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".ogv", ".3gp"),
        *(
            ".mpg",
            ".mpeg",
            ".m2v",
            ".ts",
            ".mts",
            ".m2ts",
            ".vob",
            ".h264",
            ".264",
            ".hevc",
            ".h265",
            ".mjpeg",
        ),
    }
)
_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://.+", re.IGNORECASE)


def is_video(source: Any) -> bool:
    """Tells whether a path or an address names a video: by its suffix, as a stream, or as a camera."""
    if not isinstance(source, str | os.PathLike):
        return False
    name = os.fspath(source)
    return bool(
        _STREAM.fullmatch(name) or CAMERA.fullmatch(name) or os.path.splitext(name)[1].lower() in SUFFIXES
    )


def open_video(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], fps: float | None = None
) -> Video:
    """Opens a video.

    Args:
        source: A video file, the address of a stream (`rtsp://…`), a camera (`camera:0`); with `fps`, images:
            a folder, a pattern, or several of these and of files.
        fps: Frames per second of images; None where the source is a video already.

    Raises:
        MissingDependencyError: PyAV is not installed.
        VideoError: There is no such video, it cannot be read, or there are several.
        ImageError: There are no such images.
    """
    if fps is not None:
        return ImageSequence(source, fps)
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    if len(sources) != 1:
        names = ", ".join(Path(each).name for each in sources[:3])
        raise VideoError(f"one video at a time: {names} need a run and a folder for results each")
    return ContainerVideo(os.fspath(sources[0]))
