"""Keeps a video run in segments, so that it can be interrupted anywhere and resumed at the last whole one.

    <out>/segments/<number>.json   the frames of a segment: times, objects, boxes that nothing confirms
    <out>/segments/<number>.mp4    the same frames, drawn

A segment is done when its `.json` is there, which is written last; every file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oodseg.core.coco import coco_annotations
from oodseg.core.files import output_errors, write_bytes, write_json
from oodseg.core.objects import OodObject
from oodseg.core.overlay import draw_objects
from oodseg.core.prediction import Prediction
from oodseg.io.mp4 import Mp4Part

SEGMENTS = "segments"
LENGTH = 100
"""Frames in a segment: what an interruption costs at most."""


@dataclass(frozen=True)
class FrameRecord:
    """Holds the results of a frame.

    Attributes:
        time: Seconds since the start of the video.
        name: Of its image file; None where it has none.
        objects: COCO annotations without final ids, each with `instance_id`, its track, and `frame_score`.
        unconfirmed: The same of boxes that no other frame confirms, without these two.
    """

    time: float
    name: str | None
    objects: Sequence[dict[str, Any]]
    unconfirmed: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, prediction: Prediction) -> FrameRecord:
        """Takes down a frame whose tracks are known; its path, if it has one, is that of its image."""
        name = None if prediction.path is None else prediction.path.name
        objects = coco_annotations(prediction.objects, 0, 0)
        for annotation, found in zip(objects, prediction.objects, strict=True):
            annotation["instance_id"] = found.track
            annotation["frame_score"] = found.frame_confidence
        return cls(prediction.time or 0.0, name, objects, coco_annotations(prediction.unconfirmed, 0, 0))

    def found(self) -> list[OodObject]:
        """Returns the objects as they were found in this frame, for a tracker that continues from here."""
        boxes = [(each, each["frame_score"]) for each in self.objects if each["frame_score"] is not None]
        boxes += [(each, each["score"]) for each in self.unconfirmed]
        return [_object(annotation, confidence) for annotation, confidence in boxes]


def _object(annotation: dict[str, Any], confidence: float) -> OodObject:
    x, y, width, height = annotation["bbox"]
    box = (x, y, x + width, y + height)
    return OodObject(annotation["segmentation"], box, confidence, annotation["area"])


@dataclass(frozen=True)
class Segment:
    """A stretch of frames.

    Attributes:
        fingerprint: Of all that the results depend on.
        height: Rows of the frames.
        width: Columns.
        frames: The frames, at least one.
        last: Whether the video ends with them.
        warnings: Of the last segment, what was mended in the video.
    """

    fingerprint: str
    height: int
    width: int
    frames: Sequence[FrameRecord]
    last: bool
    warnings: Sequence[str]


class SegmentStore:
    """Reads and writes the segments of a run.

    Args:
        out: Folder of the run.
        fingerprint: Of all that the results depend on: segments made under another one are not done.
        drawn: Whether every segment has its frames drawn.

    """

    def __init__(self, out: str | os.PathLike[str], fingerprint: str, drawn: bool) -> None:
        self.out, self.fingerprint, self.drawn = Path(out), fingerprint, drawn

    def part(self, number: int) -> Path:
        """Returns the path of a segment's drawn frames."""
        return self.out / SEGMENTS / f"{number:06d}.mp4"

    def done(self) -> Iterator[Segment]:
        """Gives the segments that are done, from the first on, up to the first that is not."""
        number = 0
        while (segment := self._read(number)) is not None:
            yield segment
            number += 1
            if segment.last:
                return

    def _read(self, number: int) -> Segment | None:
        try:
            found = json.loads(self._path(number).read_text(encoding="utf-8"))
            frames = [FrameRecord(**frame) for frame in found.pop("frames")]
            segment = Segment(**found, frames=frames)
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return None
        whole = segment.fingerprint == self.fingerprint and bool(frames)
        return segment if whole and (self.part(number).is_file() or not self.drawn) else None

    def write(self, number: int, segment: Segment, part: bytes | None) -> None:
        """Writes a segment, its record last.

        Raises:
            OodsegError: A file cannot be written.
        """
        if part is not None:
            write_bytes(self.part(number), part)
        write_json(self._path(number), asdict(segment))

    def clear(self, start: int) -> None:
        """Removes all segments from a number on: those of other settings, and those that are to be redone.

        Raises:
            OodsegError: A file cannot be removed.
        """
        for path in (self.out / SEGMENTS).glob("*"):
            if path.stem.isdigit() and int(path.stem) >= start:
                with output_errors(path):
                    path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.out / SEGMENTS / f"{number:06d}.json"


class SegmentWriter:
    """Gathers frames, and writes a segment when it is full.

    Args:
        store: Where to.
        number: Of the first segment.
        rate: About how many frames come per second.

    Attributes:
        frames: Frames that were added.
        written: Of those, how many are in segments that are done.
    """

    def __init__(self, store: SegmentStore, number: int, rate: float | None) -> None:
        self._store, self._number, self._rate = store, number, rate
        self._frames: list[FrameRecord] = []
        self._part: Mp4Part | None = None
        self._size = 0, 0
        self._labels: dict[int, int] = {}
        self.frames = self.written = 0

    def add(self, prediction: Prediction) -> None:
        """Adds a frame whose tracks are known; draws it from its image."""
        # Not before there is another frame: the last segment is marked.
        if len(self._frames) == LENGTH:
            self._write(False)
        self.frames += 1
        self._size = prediction.height, prediction.width
        self._frames.append(FrameRecord.of(prediction))
        if self._store.drawn:
            self._part = self._part or Mp4Part(*self._size, self._rate)
            drawn = draw_objects(prediction.read_image(), prediction.objects, self._labels)
            self._part.add(drawn, self._frames[-1].time)

    def finish(self, warnings: Sequence[str]) -> None:
        """Writes what is left as the last segment, with what was mended in the video."""
        self._write(True, warnings)

    def _write(self, last: bool, warnings: Sequence[str] = ()) -> None:
        part = None if self._part is None else self._part.finish()
        segment = Segment(self._store.fingerprint, *self._size, self._frames, last, warnings)
        self._store.write(self._number, segment, part)
        self._number, self.written = self._number + 1, self.written + len(self._frames)
        self._frames, self._part = [], None
