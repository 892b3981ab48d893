"""A pipeline that needs no network, images for it, and what a run must have left behind."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
from PIL import Image

from oodseg.core.prediction import Prediction
from oodseg.runs.fleet.predicting import predict_fleet

SETTINGS = {"pipeline": "stand-in"}


class StandIn:
    """Takes whatever is red for one unknown object; can be pickled.

    Args:
        delay: Seconds that it takes for an image.
        journal: Folder in which every process that works leaves a file of its id.
    """

    def __init__(self, delay=0.0, journal=None):
        self.delay, self.journal = delay, journal

    def __call__(self, image):
        if self.journal is not None:
            Path(self.journal, str(os.getpid())).touch()
        time.sleep(self.delay)
        red = (image[:, :, 0] > 200) & (image[:, :, 1] < 50)
        score = red[::2, ::2].astype(np.float32)
        masks = red[None] if red.any() else np.zeros((0, *red.shape), bool)
        boxes = np.zeros((len(masks), 4))
        timings = {"detector": 1.0, "total": 1.0}
        return Prediction.from_masks(masks, boxes, [0.75] * len(masks), score=score, timings=timings)


def save_images(folder, count, first=0):
    """Small images that all differ; those of even number show something red."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        image = np.full((32, 40, 3), 60, np.uint8)
        image[0, 0] = number % 251, number // 251, 7
        if number % 2 == 0:
            image[8:16, 10:30] = 250, 10, 10
        Image.fromarray(image).save(folder / f"{number:05d}.png")
    return folder


def run(source, out, pipeline=None, **options):
    options = {"settings": SETTINGS, "rows_per_file": 3, **options}
    return predict_fleet(source, pipeline or StandIn(), out, **options)


def rows(out, columns="*"):
    """All rows, as a stranger reads them."""
    return duckdb.sql(f"SELECT {columns} FROM '{out}/rows/*/*.parquet' ORDER BY path").fetchall()


def assert_one_row_each(out, folder):
    """Every image has exactly one row, and nothing else lies about."""
    counts = Counter(path for (path,) in rows(out, "path"))
    assert counts == {str(path): 1 for path in folder.iterdir()}
    left = {path.suffix for path in Path(out).rglob("*") if path.is_file()}
    assert left == {".json", ".parquet"}


if __name__ == "__main__":  # a driver of its own, that can be killed
    from oodseg.runs.fleet.pools import RayPool

    given = json.loads(sys.argv[1])
    found = run(
        given["source"],
        given["out"],
        StandIn(given["delay"], given["journal"]),
        pool=RayPool(workers=given["workers"]),
        rows_per_file=given.get("rows_per_file", 3),
    )
    print(json.dumps({"images": found.images, "done_before": found.done_before}))
