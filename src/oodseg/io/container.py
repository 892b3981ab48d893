"""Reads video files, network streams and cameras with PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError, VideoError
from oodseg.core.input_warnings import warn_input
from oodseg.core.installing import install_extra
from oodseg.io.cut_off import is_cut_off
from oodseg.io.display_matrix import shown_size, upright
from oodseg.io.frames import Video, VideoFrame, same_size
from oodseg.io.images import as_image
from oodseg.io.sizes import MAX_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame as Decoded
    from av.video.stream import VideoStream

CAMERA = re.compile(r"camera:(.+)")
_TIMEOUT = 10.0  # seconds without an answer after which a stream counts as gone
_RATE = 25.0  # frames per second where nothing is said
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_LENIENT = 0.9  # of the length that a header claims: headers round, and last frames have no length


def import_av() -> Any:
    """Imports PyAV.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise MissingDependencyError(
            f"videos need PyAV: install it with `{install_extra('video')}`"
        ) from error
    return av


class ContainerVideo(Video):
    """A video file, a network stream or a camera.

    The frames of files have the times that the file gives them, so that a variable frame rate stays as it is;
    those of streams count from the first. Frames are turned upright as the metadata say, and pixels that are
    not square are made so: frames have the width at which players show them.

    Args:
        source: A path, an address such as `rtsp://…`, or `camera:0`.

    Raises:
        MissingDependencyError: PyAV is not installed.
        VideoError: There is no such video, or it cannot be read.
    """

    def __init__(self, source: str) -> None:
        self._address, self._format = source, None
        self._options: dict[str, str] = {}
        camera = CAMERA.fullmatch(source)
        if camera is not None:
            self.name = source
            self._address, self._format = _camera(camera[1])
        elif "://" in source:
            self.name = re.sub(r"//[^/@]*@", "//", source)  # without a password
            self._options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
        else:
            self.path = Path(source)
            self.name, self.files = self.path.name, (self.path,)
            _check_file(self.path)
        with self._open() as container:
            stream = self._stream(container)
            rate = stream.average_rate or stream.guessed_rate
            self.rate = float(rate) if rate else None
            self.seconds = _length(container, stream)
        # A file behind an address waits to be read; a stream does not.
        self.live = self.path is None and not (source.startswith("http") and self.seconds)

    def frames(self, start: float = 0.0) -> Iterator[VideoFrame]:
        """See `Video.frames`."""
        if start > 0 and not self.live:
            sought = self._frames(start)
            first = None
            with suppress(VideoError):  # beyond the end there is no frame
                first = next(sought)
            # Where seeking went too far, everything is read.
            if first is not None and first.time <= start:
                yield from (each for each in chain([first], sought) if each.time >= start)
                return
            sought.close()
        yield from (each for each in self._frames() if each.time >= start)

    def _frames(self, seek: float | None = None) -> Generator[VideoFrame, None, None]:
        """Reads on from the key frame at or before `seek`, or from the beginning."""
        av = import_av()
        first, last, damaged = None, None, 0
        with self._open() as container:
            stream = self._stream(container)
            stream.thread_type = "AUTO"
            origin = None if self.live else (stream.start_time or 0)
            base = float(stream.time_base or 0)
            if seek is not None:
                with suppress(av.FFmpegError):  # reads from the beginning
                    container.seek(round(seek / base) + (origin or 0), stream=stream)
            packets = container.demux(stream)
            while True:
                try:
                    decoded = next(packets).decode()
                except StopIteration:
                    break
                except av.error.InvalidDataError:
                    damaged += 1
                    continue
                except av.FFmpegError as error:
                    warn_input(f"{self.name} broke off ({error.strerror})")
                    break
                for each in decoded:
                    if each.is_corrupt:
                        damaged += 1
                        continue
                    if each.pts is not None and origin is None:
                        origin = each.pts
                    time = self._time(each, base, origin or 0, last)
                    frame = self._shown(each, time, _width(each.width, stream))
                    same_size(frame, first, self.name)
                    first, last = first or frame, time
                    yield frame
        if last is None:
            raise VideoError(f"{self.name} holds no frame that can be read: copy or export it again")
        self._warn(last, damaged)

    def _time(self, frame: Decoded, base: float, origin: int, last: float | None) -> float:
        """Seconds since the start; where the file is silent or goes back, one frame after the last."""
        time = None if frame.pts is None else round((frame.pts - origin) * base, 6)
        if last is None:
            return time or 0.0
        return round(last + 1 / (self.rate or _RATE), 6) if time is None or time <= last else time

    def _shown(self, frame: Decoded, time: float, wide: int) -> VideoFrame:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        turn = None if matrix is None else bytes(matrix)
        height, width = shown_size(frame.height, wide, turn)

        def read() -> NDArray[np.uint8]:
            stored: Any = frame.to_ndarray(format="rgb24", width=wide)
            return as_image(upright(stored, turn), f"a frame of {self.name}")

        return VideoFrame(time, height, width, read)

    def _warn(self, last: float, damaged: int) -> None:
        if damaged:
            frames = "1 damaged frame was" if damaged == 1 else f"{damaged} damaged frames were"
            warn_input(f"{self.name}: {frames} left out")
        ends = last + 1 / (self.rate or _RATE)
        early = not self.live and self.seconds and ends + 1 / (self.rate or _RATE) < _LENIENT * self.seconds
        if early or (self.path is not None and is_cut_off(self.path)):
            of = f" of {self.seconds:.1f}" if self.seconds and ends < self.seconds else ""
            warn_input(f"{self.name} ends after {last:.1f}{of} s: it is truncated; copy it again")

    def _open(self) -> InputContainer:
        av = import_av()
        try:
            container: InputContainer = av.open(
                self._address,
                format=self._format,
                options=self._options,
                timeout=_TIMEOUT if self.path is None else None,
                metadata_errors="replace",
            )
        except PermissionError as error:
            fault = f"{self.name} cannot be opened ({error.strerror})"
            raise VideoError(f"{fault}: check its permissions") from error
        except av.FFmpegError as error:
            raise VideoError(self._reason(error.strerror)) from error
        return container

    def _reason(self, error: str) -> str:
        if self.path is not None:
            return (
                f"{self.path} cannot be read as a video ({error}): it is truncated, or no video at all; "
                "copy or export it again"
            )
        what = "the address, and that it runs" if "://" in self.name else "its number, and who else uses it"
        return f"{self.name} cannot be opened ({error}): check {what}"

    def _stream(self, container: InputContainer) -> VideoStream:
        stream: Any = container.streams.best("video")
        if not isinstance(stream, import_av().VideoStream):
            raise VideoError(f"{self.name} holds no video, only sound or text: choose another file")
        width = max(stream.width, _width(stream.width, stream))
        if width * stream.height > MAX_PIXELS:
            raise VideoError(
                f"{self.name} is too large ({width}x{stream.height} pixels, at most "
                f"{MAX_PIXELS // 1_000_000} megapixels): shrink it"
            )
        found: VideoStream = stream
        return found


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise VideoError(f"{path} is a folder: name a video, or say with --fps that its images are one")
    if not path.exists():
        raise VideoError(f"{path} does not exist: check the path for typing errors")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes): copy or download it again")


def _width(stored: int, stream: VideoStream) -> int:
    """Columns that a frame has once its pixels are square."""
    aspect = stream.sample_aspect_ratio
    return max(1, round(stored * aspect)) if aspect else stored


def _camera(name: str) -> tuple[str, str]:
    """Address and format under which this system has a camera."""
    kind = _CAMERA_FORMATS.get(sys.platform, "v4l2")
    addresses = {"v4l2": f"/dev/video{name}", "avfoundation": name, "dshow": f"video={name}"}
    return addresses[kind], kind


def _length(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds, as the header says."""
    known = [] if container.duration is None else [container.duration / 1e6]
    if stream.duration is not None and stream.time_base is not None:
        known.append(float(stream.duration * stream.time_base))
    # Of truncated files some readers make up a duration; the number of frames is as it was.
    if stream.frames and stream.average_rate:
        known.append(float(stream.frames / stream.average_rate))
    return max(known, default=None)
