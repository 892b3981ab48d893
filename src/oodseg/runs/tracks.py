"""Writes what a video run found: `tracks.json` in the form of COCO for videos, `tracks.csv` for tables.

Both are made from the segments one after the other, so that a video of any length fits.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO

from oodseg.core.coco import CATEGORY, CATEGORY_ID, coco_image
from oodseg.core.files import atomic_path, write_bytes
from oodseg.runs.segments import FrameRecord, Segment


@dataclass
class TrackSummary:
    """One object of a video.

    Attributes:
        track: Its number.
        first_frame: The frame that first shows it, counted from 0.
        last_frame: The last one.
        first_second: When that is, seconds since the start of the video.
        last_second: Likewise.
        seconds: How long it is shown.
        frames_found: Frames in which it was found; in others between it was filled in.
        confidence: The chance that not all of its boxes are false, if they err independently.
        peak_confidence: The highest confidence of its boxes.
        largest_area: Pixels of its largest mask.
        largest_width: Columns of the box around that.
        largest_height: Rows.
    """

    track: int
    first_frame: int
    last_frame: int
    first_second: float
    last_second: float
    seconds: float = 0.0
    frames_found: int = 0
    confidence: float = 0.0
    peak_confidence: float = 0.0
    largest_area: int = 0
    largest_width: int = 0
    largest_height: int = 0

    def add(self, number: int, time: float, found: Mapping[str, Any]) -> None:
        """Takes in one frame, given its annotation."""
        self.last_frame, self.last_second = number, time
        self.seconds = round(time - self.first_second, 3)
        self.confidence = max(self.confidence, found["score"])
        if found["frame_score"] is not None:
            self.frames_found += 1
            self.peak_confidence = max(self.peak_confidence, round(found["frame_score"], 6))
        if found["area"] > self.largest_area:
            self.largest_area = found["area"]
            self.largest_width, self.largest_height = (round(side) for side in found["bbox"][2:])


@dataclass
class Summary:
    """A whole video.

    Attributes:
        tracks: Its objects, in the order in which they appear.
        frames: Number of frames.
        unconfirmed: Number of boxes that no other frame confirms.
        height: Rows of the frames.
        width: Columns.
        warnings: What was mended on the way.
    """

    tracks: list[TrackSummary] = field(default_factory=list)
    frames: int = 0
    unconfirmed: int = 0
    height: int = 0
    width: int = 0
    warnings: list[str] = field(default_factory=list)


def summarise(segments: Iterable[Segment]) -> Summary:
    """Sums up a run."""
    known: dict[int, TrackSummary] = {}
    found = Summary()
    for segment in segments:
        found.height, found.width = segment.height, segment.width
        found.warnings.extend(segment.warnings)
        for frame in segment.frames:
            for each in frame.objects:
                number = each["instance_id"]
                if number not in known:
                    known[number] = TrackSummary(number, found.frames, found.frames, frame.time, frame.time)
                known[number].add(found.frames, frame.time, each)
            found.unconfirmed += len(frame.unconfirmed)
            found.frames += 1
    found.tracks = list(known.values())
    return found


def write_csv(path: Path, tracks: Iterable[TrackSummary]) -> None:
    """Writes one row per track; the columns are the attributes of `TrackSummary`.

    Raises:
        OodsegError: The file cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, [each.name for each in fields(TrackSummary)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(track) for track in tracks)
    write_bytes(path, text.getvalue().encode())


def write_document(
    path: Path,
    summary: Summary,
    segments: Callable[[], Iterable[Segment]],
    video: Mapping[str, Any],
    info: Mapping[str, Any],
) -> None:
    """Writes `info`, `videos`, `categories`, `tracks`, `images`, `annotations` and `unconfirmed`.

    That is COCO with the additions of CocoVID: images have `video_id` and `frame_id`, annotations have
    `instance_id`. Boxes that no other frame confirms are annotations in a list of their own.

    Args:
        path: The file; written whole or not at all.
        summary: Of these segments.
        segments: Gives them, as often as it is called.
        video: What is known of the video.
        info: JSON-able.

    Raises:
        OodsegError: The file cannot be written.
    """
    head = {
        "info": dict(info),
        "videos": [{"id": 1, **video, "width": summary.width, "height": summary.height}],
        "categories": [{"id": CATEGORY_ID, "name": CATEGORY}],
        "tracks": [{"id": track.track, "video_id": 1, **_without_number(track)} for track in summary.tracks],
    }
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, ensure_ascii=False, allow_nan=False)[:-1])
        _write_list(file, "images", _images(segments(), str(video["name"]), summary))
        _write_list(file, "annotations", _annotations(segments(), lambda frame: frame.objects))
        _write_list(file, "unconfirmed", _annotations(segments(), lambda frame: frame.unconfirmed))
        file.write("}\n")


def _without_number(track: TrackSummary) -> dict[str, Any]:
    found = asdict(track)
    del found["track"]
    return found


def _write_list(file: TextIO, name: str, values: Iterator[dict[str, Any]]) -> None:
    file.write(f',\n"{name}": [')
    for number, value in enumerate(values):
        file.write(("," if number else "") + "\n" + json.dumps(value, ensure_ascii=False, allow_nan=False))
    file.write("]")


def _frames(segments: Iterable[Segment]) -> Iterator[tuple[int, FrameRecord]]:
    return enumerate(frame for segment in segments for frame in segment.frames)


def _images(segments: Iterable[Segment], video: str, summary: Summary) -> Iterator[dict[str, Any]]:
    for number, frame in _frames(segments):
        name = frame.name or f"{Path(video).stem}/{number:06d}.png"
        image = coco_image(number + 1, name, summary.height, summary.width)
        yield {**image, "video_id": 1, "frame_id": number, "second": frame.time}


def _annotations(
    segments: Iterable[Segment], of: Callable[[FrameRecord], Iterable[Mapping[str, Any]]]
) -> Iterator[dict[str, Any]]:
    number = 0
    for position, frame in _frames(segments):
        for found in of(frame):
            number += 1
            yield {**found, "id": number, "image_id": position + 1, "video_id": 1}
