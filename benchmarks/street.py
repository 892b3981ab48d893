"""Measures the shipped pipeline: S2M against its own detector, and false alarms.

    python benchmarks/street.py --data DATA [--pipeline street]

Prints, for every set of DATA/benchmarks_dev, the figures of the released S2M metric (preset `code`) of the
pipeline and of its detector alone, each detector figure at the detector's own best threshold, and the
boxes drawn on images in which nothing is unknown.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from oodseg import S2M
from oodseg.evaluation import evaluate_folder
from oodseg.io.discovery import find_images

KNOWN = ("roads_without_anomalies", "camvid/test/images", "idd_lite/val/images")


def compare(pipeline: S2M, folder: Path, console: Console) -> None:
    """Prints pipeline against detector on every set below `folder`."""
    table = Table(title="S2M against its own detector at its best threshold (preset code, %)")
    for head in (
        "set",
        "AuIoU",
        "detector's AuIoU",
        "IoU threshold-free",
        "detector's best IoU",
        "mean F1",
        "detector's mean F1",
        "detector's AuPRC",
        "detector's FPR95",
    ):
        table.add_column(head, justify="left" if head == "set" else "right")
    rows = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        result = evaluate_folder(each, pipeline)
        ours, alone = result["pipeline"], result["detector"]
        row = (
            ours["auiou"], alone["auiou"], ours["iou_threshold_free"], alone["iou_best"],
            ours["mean_f1"], alone["mean_f1"], alone["auprc"], alone["fpr95"],
        )  # fmt: skip
        rows.append(row)
        table.add_row(each.name, *(f"{100 * value:.1f}" for value in row))
    mean = [statistics.mean(column) for column in zip(*rows, strict=True)]
    table.add_row("mean", *(f"{100 * value:.1f}" for value in mean), style="bold")
    console.print(table)
    worse = sum(row[0] < row[1] for row in rows)
    console.print(
        f"gain in points: AuIoU {100 * (mean[0] - mean[1]):+.1f}, mean F1 {100 * (mean[4] - mean[5]):+.1f}, "
        f"threshold-free IoU over the detector's best {100 * (mean[2] - mean[3]):+.1f}; "
        f"sets with a worse AuIoU: {worse}"
    )


def false_alarms(pipeline: S2M, data: Path, console: Console) -> None:
    """Prints boxes per image where nothing is unknown."""
    table = Table(title="false alarms")
    for head in ("images of", "images", "boxes", "boxes per image", "images with a box"):
        table.add_column(head, justify="left" if head == "images of" else "right")
    images = boxes = hit = 0
    for name in KNOWN:
        counts = [
            len(pipeline(path).objects)
            for path in track(find_images([data / name]), name, console=console, transient=True)
        ]
        table.add_row(
            name,
            str(len(counts)),
            str(sum(counts)),
            f"{sum(counts) / len(counts):.3f}",
            str(sum(map(bool, counts))),
        )
        images, boxes, hit = images + len(counts), boxes + sum(counts), hit + sum(map(bool, counts))
    table.add_row("all", str(images), str(boxes), f"{boxes / images:.3f}", str(hit), style="bold")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with benchmarks_dev/, camvid/, idd_lite/"
    )
    parser.add_argument("--pipeline", default="street", help="bundled name or folder")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    console = Console(width=140)
    pipeline = S2M.from_pretrained(arguments.pipeline)
    compare(pipeline, arguments.data / "benchmarks_dev", console)
    false_alarms(pipeline, arguments.data, console)


if __name__ == "__main__":
    main()
