"""Published numbers to compare ours with: each with its source and the split it was measured on.

S2M: Zhao et al., CVPR 2024, arXiv 2311.16516, Tables 1, 3, 4, 5, 7 and 8, on whole validation sets, in the
preset `code`. Its printed IoU is the one at the best threshold. The threshold-free IoU comes from the
result file that was released with it. The board is SegmentMeIfYouCan's hidden test as of April 2026: never
comparable with validation numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VALIDATION, HIDDEN_TEST = "validation", "hidden test"


@dataclass(frozen=True)
class PublishedRow:
    """One published row.

    Attributes:
        method: Its name in the source.
        benchmark: Key of the set, as `BenchmarkSet.benchmark`.
        split: `validation` or `hidden test`.
        source: Paper and table, or the board.
        figures: (family, name) to value in 0..1, families and names as in `MethodResult.figures`.
    """

    method: str
    benchmark: str
    split: str
    source: str
    figures: Mapping[tuple[str, str], float]


_SETS = (
    "fishyscapes_static",
    "fishyscapes_lost_and_found",
    "road_anomaly_21",
    "road_obstacle_21",
    "road_anomaly",
)
_S2M = ("auiou", "iou_best", "mean_f1")

# Method: table, then AuIoU / IoU / mean F1 in percent for each of _SETS.
_S2M_TABLES: dict[str, tuple[str, tuple[tuple[float, float, float] | None, ...]]] = {
    "DenseHybrid": (
        "Table 1",
        ((6.81, 23.54, 11.15), (2.41, 15.35, 3.83), (19.25, 35.77, 29.40), (2.23, 20.04, 3.41),
         (13.53, 26.17, 21.34)),
    ),
    "SynBoost": (
        "Table 1",
        ((17.89, 32.81, 25.67), (7.37, 18.39, 10.85), (28.35, 42.00, 39.48), (5.45, 13.97, 9.02),
         (19.50, 27.22, 29.33)),
    ),
    "PEBAL": (
        "Table 1",
        ((8.21, 26.92, 13.31), (1.49, 6.35, 2.57), (23.98, 42.39, 35.09), (0.57, 6.74, 1.06),
         (15.51, 33.80, 23.87)),
    ),
    "RPL+CoroCL": (
        "Table 1",
        ((8.46, 36.46, 13.16), (2.55, 15.75, 3.91), (22.26, 68.80, 31.55), (3.85, 28.66, 5.72),
         (16.88, 50.97, 24.64)),
    ),
    "S2M (RPL)": (
        "Table 1",
        ((64.78, 69.99, 70.24), (29.30, 30.46, 35.31), (54.33, 77.54, 60.40), (58.12, 67.64, 64.96),
         (54.31, 58.49, 61.66)),
    ),
    "S2M (PEBAL)": (
        "Table 4",
        (None, None, (28.40, 54.51, 37.03), (24.27, 40.77, 27.07), (29.42, 36.17, 33.30)),
    ),
    "S2M (RPL, FastSAM-s)": ("Table 5", (None, None, (38.55, 63.37, 41.41), (21.66, 27.47, 25.00), None)),
    "S2M (RPL, FastSAM-x)": ("Table 5", (None, None, (60.58, 81.09, 64.18), (20.53, 24.08, 23.27), None)),
    "S2M (entropy)": (
        "Table 7",
        ((67.48, 72.18, 73.81), (28.19, 33.17, 34.86), (40.11, 55.67, 50.80), (6.08, 42.17, 8.25),
         (25.14, 30.87, 31.41)),
    ),
    "S2M (Mask2Anomaly)": (
        "Table 8",
        ((57.77, 62.34, 62.90), (25.74, 27.94, 30.94), (65.61, 83.90, 72.69), (54.69, 60.58, 61.46),
         (47.18, 53.39, 52.56)),
    ),
    "S2M (RbA)": (
        "Table 8",
        ((50.41, 57.16, 56.66), (24.46, 27.27, 29.12), (33.33, 76.23, 41.48), (41.99, 52.09, 48.40),
         (44.13, 55.36, 51.30)),
    ),
}  # fmt: skip
_THRESHOLD_FREE = dict(zip(_SETS, (68.77, 29.18, 77.54, 40.57, 58.45), strict=True))
# Table 3, and board: AuPRC, FPR95 (, sIoU, F1*) in percent.
_PIXEL = {
    ("S2M (RPL)", "road_anomaly_21"): (91.92, 1.04),
    ("RPL+CoroCL", "road_anomaly_21"): (88.55, 7.18),
    ("S2M (RPL)", "road_obstacle_21"): (91.73, 0.02),
    ("RPL+CoroCL", "road_obstacle_21"): (96.91, 0.09),
}
_BOARD = {
    "road_anomaly_21": {
        "UNO": (96.33, 1.98, 68.5, 62.6),
        "FlowCLAS": (94.33, 6.58, 60.7, 73.0),
        "AnomDINO+RPL": (94.75, 8.10, 59.0, 72.5),
        "RbA": (94.46, 4.60, 64.9, 51.9),
        "RPL": (83.49, 11.68, 49.8, 30.2),
    },
    "road_obstacle_21": {
        "AnomDINO+RPL": (96.28, 0.02, 76.8, 93.0),
        "UNO": (93.19, 0.16, 71.0, 77.6),
        "RPL": (85.93, 0.58, 52.6, 56.7),
    },
}


def published_rows(benchmark: str | None) -> list[PublishedRow]:
    """Returns the published rows of a set, validation numbers first; nothing for an unknown set."""
    if benchmark not in _SETS:
        return []
    rows = []
    for method, (table, by_set) in _S2M_TABLES.items():
        values = by_set[_SETS.index(benchmark)]
        if values is None:
            continue
        figures = {("s2m_code", n): v / 100 for n, v in zip(_S2M, values, strict=True)}
        source = f"S2M paper, {table}"
        if method == "S2M (RPL)":
            figures["s2m_code", "iou_threshold_free"] = _THRESHOLD_FREE[benchmark] / 100
            source += ", released result file"
        if (method, benchmark) in _PIXEL:
            auprc, fpr95 = _PIXEL[method, benchmark]
            figures |= {("pixel", "auprc"): auprc / 100, ("pixel", "fpr95"): fpr95 / 100}
            source += ", Table 3"
        rows.append(PublishedRow(method, benchmark, VALIDATION, source, figures))
    for method, (auprc, fpr95, siou, f1) in _BOARD.get(benchmark, {}).items():
        rows.append(
            PublishedRow(
                method,
                benchmark,
                HIDDEN_TEST,
                "SegmentMeIfYouCan board, April 2026",
                {
                    ("pixel", "auprc"): auprc / 100,
                    ("pixel", "fpr95"): fpr95 / 100,
                    ("components", "siou"): siou / 100,
                    ("components", "f1_mean"): f1 / 100,
                },
            )
        )
    return rows
