"""Figures of merit for identities over the frames of a video.

Source of matching and identity switches: CLEAR MOT (Bernardin & Stiefelhagen, EURASIP JIVP 2008, Sec. 2.1),
on masks as in MOTS (Voigtlaender et al., CVPR 2019, Sec. 4): in every frame an object keeps the track it had
as long as their masks match, and what is left is matched by the highest IoU. Masks match with an IoU of at
least `FOUND_IOU`. Tracks that lie in the ignored region are neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oodseg.metrics.instances import FALSE_ALARM_SHARE, FOUND_IOU
from oodseg.metrics.pixel import F64


@dataclass(frozen=True)
class TrackMetrics:
    """Figures of one or more sequences, NaN where there is nothing to count.

    Attributes:
        objects: True objects.
        recall: Share of them that are found in at least one frame.
        mostly_found: Share of them that are found in at least 80 % of the frames that show them.
        coverage: Mean over objects of the share of their frames in which they are found.
        switches: Identity switches: frames in which an object is found as another track than last time.
        switches_per_100: The same per 100 frames in which an object was found.
        flicker: Share of the frames that show an object between its first and its last being found in which
            it is lost.
        tracks: Tracks that were shown.
        false_tracks: Those of which less than `FALSE_ALARM_SHARE` of all counted pixels lie on true objects.
        false_per_minute: The same per minute.
        minutes: Length of the sequences.
    """

    objects: int
    recall: float
    mostly_found: float
    coverage: float
    switches: int
    switches_per_100: float
    flicker: float
    tracks: int
    false_tracks: int
    false_per_minute: float
    minutes: float


@dataclass
class _Object:
    """One true object: the frames that show it, counted, and what was found of it."""

    shown: int = 0
    found: int = 0
    track: int | None = None
    switches: int = 0
    lost: int = 0  # frames since it was last found
    gaps: int = 0  # of these, those that ended


@dataclass
class _Track:
    """One track: its counted pixels, and how many of them lie on true objects."""

    counted: float = 0.0
    right: float = 0.0


class TrackCounter:
    """Collects sequences frame by frame; memory is a few numbers per object.

    Args:
        minimum: Objects of fewer pixels in a frame are ignored there.
    """

    def __init__(self, minimum: int = 10) -> None:
        self._minimum, self._seconds = minimum, 0.0
        self._objects: list[_Object] = []
        self._tracks: list[_Track] = []
        # Of the sequence that has not ended, by their identities in it.
        self._open: dict[int, _Object] = {}
        self._shown: dict[int, _Track] = {}

    def update(
        self,
        truth: Mapping[int, dict[str, Any]],
        tracks: Mapping[int, dict[str, Any]],
        ignored: dict[str, Any] | None = None,
    ) -> None:
        """Adds the next frame of a sequence.

        Args:
            truth: Identity to COCO run-length mask of every true object that the frame shows.
            tracks: The same of every track that was shown, masks of the same size.
            ignored: Run-length mask of what counts neither way.
        """
        from pycocotools import mask as coco

        areas = {each: int(coco.area(mask)) for each, mask in truth.items()}
        small = [mask for each, mask in truth.items() if areas[each] < self._minimum]
        if small:
            ignored = coco.merge([*small, *([ignored] if ignored else [])])
        objects = {each: mask for each, mask in truth.items() if areas[each] >= self._minimum}
        self._count_pixels(list(truth.values()), tracks, ignored)
        overlaps = _overlaps(objects, tracks)
        matched = self._match(list(objects), list(tracks), overlaps)
        for each in objects:
            self._see(each, matched.get(each))

    def end_sequence(self, seconds: float) -> None:
        """Ends a sequence of that length: the next frame begins another one, with identities of its own."""
        self._seconds += seconds
        self._objects += self._open.values()
        self._tracks += self._shown.values()
        self._open, self._shown = {}, {}

    def compute(self) -> TrackMetrics:
        """Returns the figures of all sequences that ended."""
        objects = self._objects
        found = sum(each.found for each in objects)
        gaps = sum(each.gaps for each in objects)
        switches = sum(each.switches for each in objects)
        shares = np.array([each.found / each.shown for each in objects])
        false = sum(each.right < FALSE_ALARM_SHARE * each.counted for each in self._tracks)
        minutes = self._seconds / 60
        return TrackMetrics(
            objects=len(objects),
            recall=_mean(shares > 0),
            mostly_found=_mean(shares >= 0.8),
            coverage=_mean(shares),
            switches=switches,
            switches_per_100=100 * switches / found if found else float("nan"),
            flicker=gaps / (found + gaps) if found else float("nan"),
            tracks=len(self._tracks),
            false_tracks=false,
            false_per_minute=false / minutes if minutes else float("nan"),
            minutes=minutes,
        )

    def _count_pixels(
        self,
        truth: list[dict[str, Any]],
        tracks: Mapping[int, dict[str, Any]],
        ignored: dict[str, Any] | None,
    ) -> None:
        from pycocotools import mask as coco

        everything = coco.merge(truth) if truth else None
        for number, mask in tracks.items():
            track = self._shown.setdefault(number, _Track())
            area = float(coco.area(mask))
            # A crowd's IoU is the share of the mask that lies in it.
            within = 0.0 if ignored is None else area * float(coco.iou([mask], [ignored], [1])[0, 0])
            track.counted += area - within
            track.right += (
                0.0 if everything is None else area * float(coco.iou([mask], [everything], [1])[0, 0])
            )

    def _match(self, objects: list[int], tracks: list[int], overlaps: F64) -> dict[int, int]:
        """Pairs objects with tracks: first those of the frame before, then by IoU."""
        values = overlaps.copy()
        for row, each in enumerate(objects):
            before = self._open[each].track if each in self._open else None
            if before in tracks:
                column = tracks.index(before)
                values[row, column] += values[row, column] >= FOUND_IOU
        matched: dict[int, int] = {}
        while values.size and values.max() >= FOUND_IOU:
            row, column = (int(each) for each in np.unravel_index(values.argmax(), values.shape))
            matched[objects[row]] = tracks[column]
            values[row, :] = values[:, column] = 0.0
        return matched

    def _see(self, identity: int, track: int | None) -> None:
        """Notes that a frame shows an object, and as which track it was found."""
        known = self._open.setdefault(identity, _Object())
        known.shown += 1
        if track is None:
            known.lost += known.found > 0
            return
        known.switches += known.track is not None and known.track != track
        known.gaps += known.lost
        known.lost, known.found, known.track = 0, known.found + 1, track


def _overlaps(objects: Mapping[int, dict[str, Any]], tracks: Mapping[int, dict[str, Any]]) -> F64:
    """IoU of every object with every track, float64 `[objects, tracks]`."""
    from pycocotools import mask as coco

    if not objects or not tracks:
        return np.zeros((len(objects), len(tracks)))
    found = coco.iou(list(objects.values()), list(tracks.values()), [0] * len(tracks))
    return np.asarray(found, np.float64)


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
