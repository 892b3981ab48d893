"""Figures by kind of picture, where a set tells kinds apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oodseg.data import Frame
from oodseg.evaluation.results import GroupFigures, PictureRecord

Groups = dict[str, dict[str, GroupFigures]]


def by_group(frames: Sequence[Frame], pictures: Sequence[PictureRecord]) -> Groups:
    """Averages the pictures' own figures over every kind of picture.

    Args:
        frames: The set; `Frame.groups` says of what kinds a picture is.
        pictures: A method's records of these frames, in the same order.

    Returns:
        Kind (`"weather"`) to value (`"rain"`) to figures, in the order of the frames.
    """
    members: dict[str, dict[str, list[PictureRecord]]] = {}
    for frame, record in zip(frames, pictures, strict=True):
        for kind, value in frame.groups.items():
            members.setdefault(kind, {}).setdefault(value, []).append(record)
    return {
        kind: {value: _figures(records) for value, records in values.items()}
        for kind, values in members.items()
    }


def _figures(records: Sequence[PictureRecord]) -> GroupFigures:
    # A picture without anomaly has no overlap to measure, only false alarms.
    anomalous = [record for record in records if record.anomaly_pixels]
    return GroupFigures(
        len(records),
        _mean([record.auiou for record in anomalous]),
        _mean([record.iou_threshold_free for record in anomalous]),
        _mean([record.mean_f1 for record in anomalous]),
        _mean([record.boxes for record in records]),
        _mean([record.false_alarms for record in records]),
    )


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan
