"""Takes a video through reading, finding, tracking and drawing, all at once, from where it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from oodseg.core.input_warnings import collect_warnings
from oodseg.core.prediction import Prediction
from oodseg.core.progress import Progress
from oodseg.io.frames import Cut, Video, VideoFrame
from oodseg.io.images import as_image
from oodseg.runs.flow import Behind, ahead
from oodseg.runs.segments import SegmentStore, SegmentWriter
from oodseg.tracking import Tracker

_STAGE = "predicting"


@dataclass
class _Start:
    """Holds the point at which an earlier run stopped.

    Attributes:
        tracker: Has seen all frames that are done.
        segments: Segments that are done.
        frames: Frames in them.
        given: Those that the tracker has given back; the others come again, and are written already.
        time: Of the last of them, seconds.
        complete: Whether the video ends there.
    """

    tracker: Tracker = field(default_factory=Tracker)
    segments: int = 0
    frames: int = 0
    given: int = 0
    time: float | None = None
    complete: bool = False


def follow(
    s2m: Callable[..., Prediction], video: Video, cut: Cut, store: SegmentStore, progress: Progress
) -> int:
    """Fills a store with all segments of a video.

    Args:
        s2m: Finds the objects of one image.
        video: The video.
        cut: Which frames of it.
        store: Where the segments go; those that it has are kept.
        progress: Told after every frame.

    Returns:
        How many frames were done before.

    Raises:
        OodsegError: The video cannot be read, has no such frames, or a segment cannot be written.
        KeyboardInterrupt: With a sentence that says how to resume; of a stream Ctrl-C is the end.
    """
    start = _resume(store)
    if start.complete:
        return start.frames
    store.clear(start.segments)
    writer = SegmentWriter(store, start.segments, None if video.rate is None else video.rate / cut.every)
    written_already = start.frames - start.given
    with collect_warnings() as warnings, Behind(writer.add) as drawing:
        try:
            for prediction in islice(_tracked(s2m, video, cut, start, progress), written_already, None):
                drawing.put(prediction)
        except KeyboardInterrupt:
            if not video.live:
                raise KeyboardInterrupt(
                    f"interrupted after {start.frames + writer.written} frames, all written whole to "
                    f"{store.out}: run the same command again to go on"
                ) from None
            for prediction in start.tracker.finish():
                drawing.put(prediction)
    if not writer.frames:
        raise cut.nothing(video)
    writer.finish(warnings)
    return start.frames


def _resume(store: SegmentStore) -> _Start:
    """Shows a tracker what earlier runs found."""
    start = _Start()
    for segment in store.done():
        for frame in segment.frames:
            found = Prediction(None, segment.height, segment.width, frame.found(), time=frame.time)
            start.given += len(start.tracker.update(found))
            start.time = frame.time
        start.segments, start.frames = start.segments + 1, start.frames + len(segment.frames)
        start.complete = segment.last
    return start


def _tracked(
    s2m: Callable[..., Prediction], video: Video, cut: Cut, start: _Start, progress: Progress
) -> Iterator[Prediction]:
    """Gives every frame when its tracks are known, each with its image."""
    done, total = start.frames, cut.count(video)
    progress(_STAGE, done, total)
    with closing(ahead(_images(video, cut, start.time), latest=video.live)) as frames:
        for frame, image in frames:
            found = replace(
                s2m(image),
                path=frame.path,
                time=frame.time,
                score=None,
                open_image=partial(as_image, image),
            )
            yield from start.tracker.update(found)
            done += 1
            progress(_STAGE, done, None if total is None else max(total, done))
    yield from start.tracker.finish()


def _images(video: Video, cut: Cut, after: float | None) -> Iterator[tuple[VideoFrame, NDArray[np.uint8]]]:
    """Reads frames and makes images of them."""
    for frame in cut.frames(video, after):
        yield frame, frame.read()
