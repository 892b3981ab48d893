"""Measures `oodseg predict --engine ray`: workers, overhead, memory, reading rows, and what a million costs.

    python benchmarks/scale.py workers [--images 400] [--milliseconds 50] [--work cpu]
    python benchmarks/scale.py memory [--images 1000 20000] [--alone]
    python benchmarks/scale.py parquet [--rows 100000]
    python benchmarks/scale.py cost [--images 12]

All but `cost` use a stand-in for the pipeline: so many milliseconds of one core, or of waiting (`--work
wait`), which shows what the engine allows where the cores are busy with other things. Rates are from the
first finished piece to the last; what Ray takes to start is told apart. CPU times are those of the process
itself, with Ray those of the driver: on a machine that does much else, they say more than the clock. With
`--alone` the driver has neither Ray nor workers: what it holds of the images itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oodseg.core.encoding import encode_png
from oodseg.core.prediction import Prediction
from oodseg.runs.fleet.chunks import PendingFile
from oodseg.runs.fleet.parts import Parts
from oodseg.runs.fleet.places import Place, read_location
from oodseg.runs.fleet.pools import RayPool, here
from oodseg.runs.fleet.predicting import predict_fleet
from oodseg.runs.fleet.rows import Fetched, fetch, predicted_row
from oodseg.runs.fleet.schema import row_schema
from oodseg.runs.fleet.working import Assignment, Done

SETTINGS = {"pipeline": "stand-in"}
SIDE = 64


def stand_in(image: np.ndarray[Any, Any], milliseconds: float = 0.0, work: str = "cpu") -> Prediction:
    """One object in every image, after so many milliseconds of one core or of waiting."""
    if work == "wait":
        time.sleep(milliseconds / 1e3)
    else:
        end = time.thread_time() + milliseconds / 1e3
        while time.thread_time() < end:
            np.sqrt(np.arange(20_000.0))
    mask = np.zeros(image.shape[:2], bool)
    mask[8:24, 8:24] = True
    score = np.zeros((SIDE // 2, SIDE // 2), np.float32)
    return Prediction.from_masks(
        mask[None], [[8, 8, 24, 24]], [0.9], score=score, timings={"total": milliseconds}
    )


def save_images(folder: Path, count: int) -> Path:
    """Small JPEG files that all differ."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number % 100:02d}" / f"{number:06d}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return folder


class Timed:
    """A pool that notes when its first and its last piece were done, and how many images came between."""

    def __init__(self, pool: Callable[[Assignment, int], Iterator[Done]]) -> None:
        self._pool, self.began, self.first, self.last, self.images = pool, 0.0, 0.0, 0.0, 0

    def __call__(self, assignment: Assignment, chunks: int) -> Iterator[Done]:
        """See `Pool`."""
        self.began = time.monotonic()
        for done in self._pool(assignment, chunks):
            self.last = time.monotonic()
            if self.first:
                self.images += done.images
            else:
                self.first = self.last
            yield done

    @property
    def rate(self) -> float:
        """Images per second between the first and the last piece."""
        return self.images / (self.last - self.first)


def cpu_seconds() -> float:
    """CPU seconds of this process."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def workers(count: int, milliseconds: float, work: str) -> None:
    """Plain loop, the engine in one process, and one and two workers of Ray."""
    pipeline = partial(stand_in, milliseconds=milliseconds, work=work)
    with tempfile.TemporaryDirectory() as scratch:
        photos = save_images(Path(scratch, "photos"), count)
        paths = sorted(str(path) for path in photos.rglob("*.jpg"))
        began, spent = time.monotonic(), cpu_seconds()
        for path in paths:
            predicted_row(fetch(path, "", {}, read_location), pipeline, "0" * 64)
        plain, spent = time.monotonic() - began, cpu_seconds() - spent
        print("| | images per second | against the loop | CPU ms per image | seconds to the first piece |")
        print("|---|---|---|---|---|")
        print(f"| plain loop, nothing written | {count / plain:.1f} | 1.00 | {1e3 * spent / count:.1f} | |")
        for title, pool in (
            ("engine in one process", here),
            ("Ray, one worker", RayPool(workers=1)),
            ("Ray, two workers", RayPool(workers=2)),
        ):
            timed, spent = Timed(pool), cpu_seconds()
            out = Path(scratch, title)
            predict_fleet(
                str(photos), pipeline, out, pool=timed, threads=1, settings=SETTINGS, rows_per_file=10
            )
            own = 1e3 * (cpu_seconds() - spent) / count
            waited = timed.first - timed.began
            share = timed.rate * plain / count
            print(f"| {title} | {timed.rate:.1f} | {share:.2f} | {own:.1f} | {waited:.1f} |", flush=True)


def memory(counts: list[int], alone: bool) -> None:
    """Peak memory of a driver, in a process of its own for every number of images."""
    print("| images | peak memory of the driver, MiB |\n|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for count in counts:
            photos = save_images(Path(scratch, str(count)), count)
            command = [sys.executable, __file__, "drive", str(photos), str(Path(scratch, f"out{count}"))]
            command += ["--alone"] if alone else []
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            told = json.loads(done.stdout.strip().splitlines()[-1])
            assert told["images"] == count
            print(f"| {count} | {told['peak']:.0f} |", flush=True)


def made_up(assignment: Assignment, chunks: int) -> Iterator[Done]:
    """In place of workers: one row of an image stands for all, so that only the driver does any work."""
    import pyarrow as pa

    parts = Parts(Place(assignment.location), assignment.model)
    pending = PendingFile(parts.place, assignment.pending)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    row = predicted_row(Fetched("", "", {}, encode_png(image)), stand_in, parts.model)
    for chunk in range(chunks):
        entries = pending.entries(chunk)
        rows = [
            row | {"path": each.path, "stamp": each.stamp, "id": sha256(each.path.encode()).hexdigest()}
            for each in entries
        ]
        parts.write(
            parts.name_of((each.path, each.stamp) for each in entries),
            pa.Table.from_pylist(rows, row_schema()),
        )
        yield Done(images=len(entries))


def drive(photos: str, out: str, alone: bool) -> None:
    """A driver with one worker, or with none, for `memory`; again, when all is done."""
    pool = made_up if alone else RayPool(workers=1)
    predict_fleet(photos, stand_in, out, pool=pool, threads=1, settings=SETTINGS)
    run = predict_fleet(photos, stand_in, out, pool=pool, threads=1, settings=SETTINGS)
    assert run.done_before == run.images
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"images": run.images, "peak": peak}))


def parquet(count: int) -> None:
    """Writes rows as the engine does, and asks DuckDB."""
    import duckdb
    import pyarrow as pa

    with tempfile.TemporaryDirectory() as scratch:
        parts = Parts(Place(scratch), "0" * 64)
        photo = save_images(Path(scratch, "photos"), 1) / "00" / "000000.jpg"
        row = predicted_row(Fetched("", "", {}, photo.read_bytes()), stand_in, parts.model)
        schema = row_schema()
        for first in range(0, count, 100):
            numbers = range(first, min(first + 100, count))
            ids = [sha256(str(number).encode()).hexdigest() for number in numbers]
            rows = [
                row | {"id": id, "path": f"/photos/{number}.jpg"}
                for number, id in zip(numbers, ids, strict=True)
            ]
            parts.write(f"{parts.folder}/part-{first:08d}.parquet", pa.Table.from_pylist(rows, schema))
        files = f"'{scratch}/rows/*/*.parquet'"
        print(
            f"{count} rows in {len(parts.names())} files\n\n| query | seconds | CPU seconds |\n|---|---|---|"
        )
        for title, query in (
            ("all columns into memory", f"CREATE TABLE found AS SELECT * FROM {files}"),
            ("rows and ids counted", f"SELECT count(*), count(DISTINCT id) FROM {files}"),
            (
                "objects by confidence",
                f"SELECT path, o.area FROM (SELECT path, unnest(objects) AS o FROM {files}) "
                "ORDER BY o.confidence DESC LIMIT 100",
            ),
        ):
            began, spent = time.monotonic(), time.process_time()
            found = duckdb.sql(query)
            if found is not None:
                found.fetchall()
            print(f"| {title} | {time.monotonic() - began:.2f} | {time.process_time() - spent:.2f} |")


def cost(count: int) -> None:
    """CPU seconds of `street` per image, and what a million images take."""
    import torch

    from oodseg import S2M
    from oodseg.synth.drawn import draw_scene

    torch.set_num_threads(1)
    s2m = S2M.from_pretrained("street")
    print("| size | CPU seconds per image | seconds per image | core hours per million |\n|---|---|---|---|")
    for height, width in ((720, 1280), (1080, 1920)):
        images = [draw_scene(np.random.default_rng(seed), (height, width)).image for seed in range(count)]
        s2m(images[0])
        began, spent = time.monotonic(), time.process_time()
        for image in images:
            s2m(image)
        own, wall = (time.process_time() - spent) / count, (time.monotonic() - began) / count
        print(f"| {width}x{height} | {own:.2f} | {wall:.2f} | {own * 1e6 / 3600:.0f} |", flush=True)


def main() -> None:
    """Runs one of the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_subparsers(dest="which", required=True)
    one = which.add_parser("workers")
    one.add_argument("--images", type=int, default=400)
    one.add_argument("--milliseconds", type=float, default=50)
    one.add_argument("--work", choices=("cpu", "wait"), default="cpu")
    two = which.add_parser("memory")
    two.add_argument("--images", type=int, nargs="+", default=[1000, 20_000])
    two.add_argument("--alone", action="store_true", help="without Ray and without workers")
    which.add_parser("parquet").add_argument("--rows", type=int, default=100_000)
    which.add_parser("cost").add_argument("--images", type=int, default=12)
    driver = which.add_parser("drive")
    driver.add_argument("photos")
    driver.add_argument("out")
    driver.add_argument("--alone", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.which == "workers":
        workers(given.images, given.milliseconds, given.work)
    elif given.which == "memory":
        memory(given.images, given.alone)
    elif given.which == "parquet":
        parquet(given.rows)
    elif given.which == "cost":
        cost(given.images)
    else:
        drive(given.photos, given.out, given.alone)


if __name__ == "__main__":
    main()
