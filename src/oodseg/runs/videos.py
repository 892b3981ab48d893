"""Predicts a video into a folder: every unknown object with an identity, and the video with them drawn in.

<out>/tracks.mp4     the frames with every object outlined and numbered, H.264, without sound
<out>/tracks.json    COCO for videos: frames, objects with identities, boxes that nothing confirms
<out>/tracks.csv     one row per object
<out>/segments/      what resuming reads
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.errors import ImageError
from oodseg.core.fingerprint import file_identity, hash_json
from oodseg.core.progress import Progress, silent
from oodseg.core.version import __version__
from oodseg.io.frames import Cut, Video
from oodseg.io.mp4 import join_parts
from oodseg.io.video import open_video
from oodseg.pipeline import S2M
from oodseg.runs.fallback import fit_or_recall
from oodseg.runs.folder import open_run, undone_if_refused
from oodseg.runs.following import follow
from oodseg.runs.items import Item, Source
from oodseg.runs.loading import load, read_limits
from oodseg.runs.predictions import DEFAULT_FOLDER
from oodseg.runs.segments import SEGMENTS, SegmentStore
from oodseg.runs.store import Plan
from oodseg.runs.tracks import TrackSummary, summarise, write_csv, write_document

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction

VIDEO_FILE, JSON_FILE, CSV_FILE = "tracks.mp4", "tracks.json", "tracks.csv"
_SAMPLE = 50  # frames to which a detector is fitted that never was
_NO_PROMISE = (
    "boxes are kept from the calibrated confidence on, but its promise is about images drawn at random with "
    "those of the calibration: frames of one drive are not, and objects must show in several of them"
)


@dataclass
class VideoRun:
    """The result of a run.

    Attributes:
        files: What was written.
        frames: Frames of the video that were asked for.
        tracks: The objects, in the order in which they appear.
        unconfirmed: Boxes that no other frame confirms, which are not shown.
        done_before: Frames that an earlier run had done already.
        seconds: How long this run took.
        notes: What one should know of the run as a whole, one sentence each.
    """

    files: list[Path]
    frames: int
    tracks: list[TrackSummary]
    unconfirmed: int
    done_before: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what a person wants to know, in order."""
        rows = [("frames", str(self.frames)), ("unknown objects", str(len(self.tracks)))]
        rows.append(("boxes that no other frame confirms", str(self.unconfirmed)))
        if self.frames > self.done_before:
            rows.append(("frames per second", f"{(self.frames - self.done_before) / self.seconds:.2f}"))
        if self.done_before:
            rows.append(("done before", str(self.done_before)))
        return rows


def predict_video(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    pipeline: str | os.PathLike[str] | Callable[..., Prediction] = "street",
    out: str | os.PathLike[str] | None = None,
    *,
    fps: float | None = None,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    detector: Any = None,
    prompts: Any = None,
    masks: Any = None,
    operating_point: str | None = None,
    min_confidence: float | None = None,
    min_area: int = 0,
    max_objects: int | None = None,
    ignore: str | os.PathLike[str] | NDArray[np.bool_] | None = None,
    device: str | int = "auto",
    precision: str = "auto",
    size: int | None = None,
    runtime: str = "torch",
    overlays: bool = True,
    fresh: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> VideoRun:
    """Predicts a video into a folder; called again, resumes after the last whole segment.

    Reading, finding and drawing run at the same time. A stream or a camera is followed until it ends or until
    Ctrl-C, and cannot be resumed; where finding is slower than it, frames are left out.

    Args:
        source: A video file, the address of a stream, a camera (`camera:0`); with `fps` a folder, a pattern
            or a list of images.
        pipeline: Bundled name, folder, or a pipeline; any other callable, called as `s2m(image)`, needs
            `settings`.
        out: Folder for the results of this video; None for `oodseg-results`, or a new folder in it if that
            holds other results.
        fps: Frames per second of images; None where the source is a video already.
        every: The first of every so many frames is used.
        start: Seconds at which to begin.
        end: Seconds at which to stop; None for the end of the video.
        detector: Replaces that part of a named pipeline: see `S2M.from_pretrained`.
        prompts: Likewise.
        masks: Likewise.
        operating_point: How readily a named pipeline proposes boxes: see `predict`.
        min_confidence: Least confidence of a box in a frame, in place of the operating point.
        min_area: Least number of pixels of an object in a frame.
        max_objects: Most objects per frame.
        ignore: Where a named pipeline finds nothing: bool `[h, w]`, or an image that `read_mask` reads.
        device: Where a named pipeline runs: see `S2M`.
        precision: What it computes in: see `S2M`.
        size: Long side in pixels at which it looks at frames: see `predict`.
        runtime: What runs its networks: see `S2M`.
        overlays: Whether the video is drawn.
        fresh: Whether to redo frames that are done.
        settings: JSON-able: names the pipeline in place of what is known of it.
        progress: Told after every frame.

    Returns:
        The objects, counts, and what was written.

    Raises:
        ConfigError: `out` holds other results.
        OodsegError: No such video or pipeline, no frame between these times, or results that cannot be
            written.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole.
    """
    video, cut = open_video(source, fps), Cut(every, start, end)
    s2m, known = load(
        pipeline,
        settings,
        device=device,
        precision=precision,
        size=size,
        runtime=runtime,
        ignore=ignore,
        operating_point=operating_point,
        limits=read_limits(operating_point, min_confidence, min_area, max_objects),
        detector=detector,
        prompts=prompts,
        masks=masks,
    )
    known |= {"video": _identity(video), "every": every, "start": start, "end": end}
    fallback = None
    if isinstance(s2m, S2M):
        fallback = fit_or_recall(s2m, _sample(video, cut), known, out, DEFAULT_FOLDER, fresh)
    lists = (VIDEO_FILE, JSON_FILE, CSV_FILE, SEGMENTS)
    ready = open_run(Plan("predict", _NoRecord, known, {}, lists, fresh), Source([]), out, DEFAULT_FOLDER)
    store = SegmentStore(ready.store.out, hash_json([__version__, known]), overlays)
    began = time.perf_counter()
    with undone_if_refused(ready.store, lambda: any(True for _ in store.done())):
        if fresh:
            store.clear(0)
        done_before = follow(s2m, video, cut, store, progress or silent)
        run = _summed_up(store, video, known)
    run.done_before, run.seconds = done_before, time.perf_counter() - began
    calibrated = _NO_PROMISE if isinstance(s2m, S2M) and s2m.promise is not None else None
    run.notes = [note for note in (fallback, ready.note, calibrated) if note is not None]
    return run


@dataclass(frozen=True)
class _NoRecord:
    """A video is one input, which is done in segments."""

    milliseconds: float = 0.0


def _identity(video: Video) -> dict[str, Any]:
    """Identifies the files behind the frames; another identity means another video."""
    files = [file_identity(path) for path in video.files]
    # What a stream showed once it does not show again.
    begun = time.strftime("%Y-%m-%d %H:%M:%S") if video.live else None
    return {"name": video.name, "fps": video.rate, "files_sha256": hash_json(files), "begun": begun}


def _summed_up(store: SegmentStore, video: Video, settings: Mapping[str, Any]) -> VideoRun:
    """Makes the results of all segments."""
    found = summarise(store.done())
    about = {"name": video.name, "fps": video.rate, "seconds": video.seconds, "length": found.frames}
    info = {
        "description": "unknown objects found by oodseg, with identities over frames",
        "version": __version__,
        "settings": dict(settings),
        "warnings": found.warnings,
    }
    write_csv(store.out / CSV_FILE, found.tracks)
    write_document(store.out / JSON_FILE, found, store.done, about, info)
    files = [store.out / JSON_FILE, store.out / CSV_FILE]
    if store.drawn:
        parts = ((store.part(number), each.frames[0].time) for number, each in enumerate(store.done()))
        files.insert(0, store.out / VIDEO_FILE)
        join_parts(files[0], parts)
    return VideoRun(files, found.frames, found.tracks, found.unconfirmed)


def _sample(video: Video, cut: Cut) -> Iterable[Item]:
    """Frames spread over a video, to fit a detector to; of a stream there are none beforehand."""
    count = cut.count(video)
    if video.live or video.seconds is None or count is None:
        return iter(())
    end = video.seconds if cut.end is None else min(cut.end, video.seconds)
    times = np.linspace(cut.start, end, min(_SAMPLE, count), endpoint=False).tolist()
    return [
        Item(f"{each:g}", f"{video.name} at {each:g} s", partial(_frame_at, video, each), list)
        for each in times
    ]


def _frame_at(video: Video, time: float) -> NDArray[np.uint8]:
    frame = next(video.frames(time), None)
    if frame is None:
        raise ImageError(f"{video.name} has no frame at {time:g} s")
    return frame.read()
