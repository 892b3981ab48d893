"""Videos as sequences of frames with their times."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, VideoError


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
        time: Seconds since the start of the video.
        height: Rows; all frames of a video have one size.
        width: Columns.
        read: Gives the image, uint8 `[H, W, 3]` RGB, upright: frames that are passed over cost little.
        path: Its image file, if it comes from one.
    """

    time: float
    height: int
    width: int
    read: Callable[[], NDArray[np.uint8]]
    path: Path | None = None


class Video(ABC):
    """A video that can be read any number of times, unless it is live.

    What is damaged is left out, with a warning.

    Attributes:
        name: What people call it: the name of its file or folder, or its address.
        path: Its file, or the folder of its images; None for a stream or a camera.
        files: All files that it is made of.
        live: Whether its frames come as they happen, once.
        rate: Mean frames per second; None if unknown.
        seconds: How long it is; None if unknown.
    """

    name: str
    path: Path | None = None
    files: Sequence[Path] = ()
    live: bool = False
    rate: float | None = None
    seconds: float | None = None

    @abstractmethod
    def frames(self, start: float = 0.0) -> Iterator[VideoFrame]:
        """Reads the frames in order, beginning with the first at `start` or later.

        Args:
            start: Seconds.

        Raises:
            VideoError: It cannot be read, or its frames change their size.
        """


@dataclass(frozen=True)
class Cut:
    """Selects frames of a video.

    Attributes:
        every: The first of every so many frames, at least 1.
        start: Seconds at which to begin.
        end: Seconds at which to stop; None for the end of the video.

    Raises:
        ConfigError: Nothing would be left.
    """

    every: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"every {self.every}th frame cannot be used: choose 1 or more")
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ConfigError(f"a video cannot begin at {self.start:g} s: choose a time from 0 on")
        if self.end is not None and not self.end > self.start:  # NaN included
            raise ConfigError(f"nothing lies between {self.start:g} s and {self.end:g} s: choose other times")

    def frames(self, video: Video, after: float | None = None) -> Iterator[VideoFrame]:
        """Reads the frames that are wanted.

        Args:
            video: Of which.
            after: The time of a frame that was given earlier: begins with the one that followed it.

        Raises:
            VideoError: As `Video.frames`, or no frame has that time any more.
        """
        begin = self.start if after is None else after
        frames = video.frames(begin)
        if after is not None:
            earlier = next(frames, None)
            if earlier is None or earlier.time != after:  # damaged files count otherwise after seeking
                frames = (each for each in video.frames() if each.time >= after)
                earlier = next(frames, None)
            if earlier is None or earlier.time != after:
                raise VideoError(
                    f"{video.name} has no frame at {after:g} s any more: run it again with --overwrite"
                )
        for number, frame in enumerate(frames, start=0 if after is None else 1):
            if self.end is not None and frame.time >= self.end:
                return
            if number % self.every == 0:
                yield frame

    def nothing(self, video: Video) -> VideoError:
        """Makes the error for a video that has no frame here, whatever length its header claims."""
        if self.end is None and self.start == 0:
            return VideoError(f"{video.name} holds no frame: choose another video")
        if self.end is None:
            return VideoError(f"{video.name} has no frame from {self.start:g} s on: begin earlier")
        times = f"{self.start:g} s and {self.end:g} s"
        return VideoError(f"{video.name} has no frame between {times}: choose other times")

    def count(self, video: Video) -> int | None:
        """Estimates how many frames are wanted; None if the length of the video is unknown."""
        if video.seconds is None or video.rate is None:
            return None
        end = video.seconds if self.end is None else min(self.end, video.seconds)
        return max(1, round((end - self.start) * video.rate / self.every))


def same_size(frame: VideoFrame, first: VideoFrame | None, name: str) -> None:
    """Checks that a frame is as large as the first one.

    Raises:
        VideoError: It is not.
    """
    if first is not None and (frame.height, frame.width) != (first.height, first.width):
        sizes = " to ".join(f"{each.width}x{each.height}" for each in (first, frame))
        raise VideoError(
            f"{name} changes its size from {sizes} at {frame.time:g} s: "
            f"cut it there with --end {frame.time:g}"
        )
