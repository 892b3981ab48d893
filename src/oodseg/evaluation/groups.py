"""Figures by kind of image, where a set tells kinds apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oodseg.data import Frame
from oodseg.evaluation.results import GroupFigures, ImageRecord

Groups = dict[str, dict[str, GroupFigures]]


def by_group(frames: Sequence[Frame], images: Sequence[ImageRecord]) -> Groups:
    """Averages the images' own figures over every kind of image.

    Args:
        frames: The set; `Frame.groups` says of what kinds an image is.
        images: A method's records of these frames, in the same order.

    Returns:
        Kind (`"weather"`) to value (`"rain"`) to figures, in the order of the frames.
    """
    members: dict[str, dict[str, list[ImageRecord]]] = {}
    for frame, record in zip(frames, images, strict=True):
        for kind, value in frame.groups.items():
            members.setdefault(kind, {}).setdefault(value, []).append(record)
    return {
        kind: {value: _figures(records) for value, records in values.items()}
        for kind, values in members.items()
    }


def _figures(records: Sequence[ImageRecord]) -> GroupFigures:
    # An image without anomaly has no overlap to measure, only false alarms.
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
