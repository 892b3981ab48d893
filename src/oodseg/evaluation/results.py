"""Holds the results of an evaluation: figures with intervals, curves and one record per image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.data import BenchmarkSet

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One number of the table; NaN where it is undefined.

    Attributes:
        value: The figure over the whole set.
        low: Lower end of its 95 % bootstrap interval over images, NaN where none is computed.
        high: Upper end.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Curves:
    """Holds the curves that the report draws.

    Attributes:
        thresholds: Float64 `[T]`.
        iou: Preset to IoU at each threshold.
        f1: Preset to F1 at each threshold.
        recall: Recall of the pooled pixels, thinned.
        precision: Precision at each `recall`.
        false_positive_rate: Share of in-distribution pixels above a threshold, `[P]` ascending, 0 to 1.
        true_positive_rate: Share of anomalous pixels above the same threshold, `[P]`.
        score_bins: Edges of the score histogram on 0..1, `[B + 1]`.
        in_distribution: Share of in-distribution pixels per bin, `[B]`.
        anomaly: Share of anomalous pixels per bin, `[B]`.
    """

    thresholds: F64
    iou: dict[str, F64]
    f1: dict[str, F64]
    recall: F64
    precision: F64
    false_positive_rate: F64
    true_positive_rate: F64
    score_bins: F64
    in_distribution: F64
    anomaly: F64


@dataclass(frozen=True)
class ImageRecord:
    """One image's own figures by one method."""

    name: str
    auiou: float
    iou_threshold_free: float
    mean_f1: float
    boxes: int | None
    false_alarms: int | None
    anomaly_pixels: int


@dataclass(frozen=True)
class GroupFigures:
    """Means over the images of one kind, NaN where undefined; IoU and F1 as the preset `code` has them.

    Attributes:
        images: How many there are.
        auiou: Mean over those of them that hold an anomaly; likewise the next two.
        iou_threshold_free: See `auiou`.
        mean_f1: See `auiou`.
        boxes: Objects drawn per image, over all of them.
        false_alarms: False alarms per image, over all of them.
    """

    images: int
    auiou: float
    iou_threshold_free: float
    mean_f1: float
    boxes: float
    false_alarms: float


@dataclass(frozen=True)
class MethodResult:
    """One row.

    Attributes:
        name: How the row is called.
        kind: `prompts`, `score` or `components`.
        figures: Family to name to figure; families are `pixel`, `s2m_code`, `s2m_paper`, `components`,
            `components_threshold_free` (prompts only) and `instances` (where there are objects).
        threshold: Score of the pooled best F1: the components' operating point.
        best_thresholds: Preset to the threshold on the 0..1 map at which IoU is best.
        extremes: Smallest and largest score of the set (Eq. 8), None for confidences.
        by_size: Object size to (objects, found, mean share covered).
        curves: What the report draws.
        images: One record per image.
        notes: What a reader of the figures must know, one sentence each.
        by_group: Kind of image to value to figures; see `Frame.groups`.
    """

    name: str
    kind: str
    figures: dict[str, dict[str, Figure]]
    threshold: float
    best_thresholds: dict[str, float]
    extremes: tuple[float, float] | None
    by_size: dict[str, tuple[int, int, float]]
    curves: Curves
    images: list[ImageRecord]
    notes: list[str] = field(default_factory=list)
    by_group: dict[str, dict[str, GroupFigures]] = field(default_factory=dict)

    def value(self, family: str, name: str) -> float:
        """Returns a figure's value, NaN if this row has none."""
        figure = self.figures.get(family, {}).get(name)
        return figure.value if figure else float("nan")


@dataclass(frozen=True, eq=False)
class Tile:
    """One frame of the report's gallery, shrunk to at most 480 pixels wide.

    Attributes:
        name: The frame's name.
        image: uint8 `[h, w, 3]`, or None where there is no image.
        label: uint8 `[h, w]`: 0, 1 or 255.
        score: The detector's score (or the confidence, if there is none), uint8 `[h, w]`, its own range.
        mask: Union of the objects, bool `[h, w]`, or None where the first row draws none.
        boxes: `(x0, y0, x1, y1, confidence)` in pixels of the tile.
    """

    name: str
    image: NDArray[np.uint8] | None
    label: NDArray[np.uint8]
    score: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    boxes: list[tuple[float, float, float, float, float]]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """All rows over one set.

    Attributes:
        dataset: The set.
        fingerprint: SHA-256 over names and labels.
        methods: The rows.
        tiles: Thumbnails for the report, worst image first.
        meta: Version, seed, weights hash, preset, metric definitions.
        warnings: What was mended, or looks wrong, in labels and scores, one sentence each.
    """

    dataset: BenchmarkSet
    fingerprint: str
    methods: list[MethodResult]
    tiles: list[Tile]
    meta: dict[str, Any]
    warnings: Sequence[str] = ()

    def __repr__(self) -> str:
        rows = ", ".join(method.name for method in self.methods)
        return f"<Evaluation of {self.dataset.title}: {len(self.dataset.frames)} images, rows: {rows}>"

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dict; undefined figures become null."""
        record: dict[str, Any] = jsonable(
            {
                "dataset": {
                    "key": self.dataset.key,
                    "title": self.dataset.title,
                    "split": self.dataset.split,
                    "frames": len(self.dataset.frames),
                    "track": self.dataset.track,
                    "licence": self.dataset.licence,
                    "fingerprint": self.fingerprint,
                    "notes": self.dataset.notes,
                },
                "warnings": list(self.warnings),
                **self.meta,
                "methods": [
                    {
                        "name": method.name,
                        "kind": method.kind,
                        "figures": {
                            family: {
                                name: {"value": f.value, "low": f.low, "high": f.high}
                                for name, f in named.items()
                            }
                            for family, named in method.figures.items()
                        },
                        "threshold": method.threshold,
                        "best_thresholds": method.best_thresholds,
                        "score_extremes": method.extremes,
                        "recall_by_size": {
                            size: {"objects": n, "found": found, "covered": covered}
                            for size, (n, found, covered) in method.by_size.items()
                        },
                        "by_group": {
                            kind: {value: vars(figures) for value, figures in values.items()}
                            for kind, values in method.by_group.items()
                        },
                        "iou_against_threshold": method.curves.iou,
                        "images": [vars(image) for image in method.images],
                        "notes": method.notes,
                    }
                    for method in self.methods
                ],
            }
        )
        return record


def jsonable(value: Any) -> Any:
    """Turns numpy values into plain ones and NaN into None, throughout."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
