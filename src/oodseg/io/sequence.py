"""Reads images as the frames of a video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.input_warnings import warn_input
from oodseg.io.discovery import find_images
from oodseg.io.frames import Video, VideoFrame, same_size
from oodseg.io.images import read_image


class ImageSequence(Video):
    """Images as the frames of a video, in natural order of their names.

    An image that cannot be read is left out, and the time of its frame goes by.

    Args:
        source: A folder, a pattern, or several of these and of files.
        fps: Frames per second.

    Raises:
        ConfigError: `fps` is not above 0.
        ImageError: No image.
    """

    def __init__(self, source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], fps: float) -> None:
        if not fps > 0:
            raise ConfigError(f"a sequence has more than {fps:g} frames per second: choose a rate above 0")
        self._fps, self.files = fps, find_images(source)
        self.rate, self.seconds = fps, len(self.files) / fps
        self.path = self.files[0].parent
        self.name = self.path.resolve().name

    def frames(self, start: float = 0.0) -> Iterator[VideoFrame]:
        """See `Video.frames`."""
        first = None
        for number, path in enumerate(self.files):
            time = round(number / self._fps, 6)
            if time < start:
                continue
            frame = self._frame(path, time)
            if frame is not None:
                same_size(frame, first, self.name)
                first = first or frame
                yield frame

    def _frame(self, path: Path, time: float) -> VideoFrame | None:
        try:
            image = read_image(path)
        except ImageError as error:
            warn_input(str(error))
            return None
        return VideoFrame(time, image.shape[0], image.shape[1], lambda: image, path)
