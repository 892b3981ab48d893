"""Measures videos: identities on drawn drives, throughput beside the bare pipeline, memory over length.

    python benchmarks/video.py identities [--drives 4] [--seconds 6] [--operating-point quiet]
    python benchmarks/video.py throughput [--frames 60]
    python benchmarks/video.py memory [--minutes 10]

`identities` draws drives (1280x720, 10 frames per second), follows what the pipeline finds in them, and
compares it with the truth. `throughput` runs the pipeline on frames in memory, then the whole run from file
to file on the same frames, then the pipeline again. `memory` follows made-up objects through a video of
1280x720 at 30 frames per second, with a pipeline that costs next to nothing, so that reading, following,
drawing and writing are what is left.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track as shown
from rich.table import Table

from oodseg import S2M, Prediction
from oodseg.core.objects import encode_objects
from oodseg.io.mp4 import Mp4Part, join_parts
from oodseg.metrics import TrackCounter, TrackMetrics
from oodseg.metrics.instances import encode_mask
from oodseg.runs import predict_video
from oodseg.synth.drive import DriveFrame, draw_drive
from oodseg.tracking import Tracker

HEIGHT, WIDTH = 720, 1280
STREETS = (("city", "noon"), ("country", "overcast"), ("dusty", "noon"), ("highway", "dusk"))
LEAST = 64  # pixels: smaller objects do not count
Masks = dict[int, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("identities", "throughput", "memory"))
    parser.add_argument("--pipeline", default="street")
    parser.add_argument("--operating-point", default="quiet")
    parser.add_argument("--drives", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    console = Console()
    if arguments.what == "memory":
        memory(arguments.minutes, console)
        return
    s2m = S2M.from_pretrained(arguments.pipeline, operating_point=arguments.operating_point)
    if arguments.what == "identities":
        identities(s2m, arguments.drives, arguments.seconds, console)
    else:
        throughput(s2m, arguments.frames, console)


def identities(s2m: S2M, drives: int, seconds: float, console: Console) -> None:
    """Prints what becomes of the objects of drawn drives."""
    table = Table(title="tracks on drawn drives")
    heads = (
        "drive",
        "objects",
        "found",
        "coverage",
        "switches",
        "per 100 found frames",
        "flicker",
        "false per minute",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "drive" else "right")
    whole = TrackCounter(LEAST)
    for seed, (domain, weather) in zip(range(drives), itertools.cycle(STREETS), strict=False):
        frames = draw_drive(seed, seconds=seconds, domain=domain, weather=weather)
        alone = TrackCounter(LEAST)
        length = round(10 * seconds)
        for truth, tracks in follow(
            s2m, shown(frames, f"{domain}, {weather}", length, console=console, transient=True)
        ):
            alone.update(truth, tracks)
            whole.update(truth, tracks)
        alone.end_sequence(seconds)
        whole.end_sequence(seconds)
        table.add_row(f"{seed}: {domain}, {weather}", *cells(alone.compute()))
    table.add_row("all", *cells(whole.compute()), style="bold")
    console.print(table)


def follow(s2m: S2M, frames: Iterable[DriveFrame]) -> Iterator[tuple[Masks, Masks]]:
    """Masks of the true objects and of the tracks of every frame, by identity."""
    tracker, truths = Tracker(), list[Masks]()

    def decided(predictions: list[Prediction]) -> Iterator[tuple[Masks, Masks]]:
        for prediction in predictions:
            yield truths.pop(0), {found.track or 0: found.rle for found in prediction.objects}

    for frame in frames:
        truths.append({int(k): encode_mask(frame.unknown == k) for k in np.unique(frame.unknown) if k})
        found = s2m(frame.image)
        flat = Prediction(None, found.height, found.width, found.objects, time=frame.time)
        yield from decided(tracker.update(flat))
    yield from decided(tracker.finish())


def cells(found: TrackMetrics) -> list[str]:
    return [
        str(found.objects), f"{found.recall:.0%}", f"{found.coverage:.0%}", str(found.switches),
        f"{found.switches_per_100:.2f}", f"{found.flicker:.1%}", f"{found.false_per_minute:.1f}",
    ]  # fmt: skip


def throughput(s2m: S2M, count: int, console: Console) -> None:
    """Prints frames per second of the bare pipeline and of the whole run."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "drive.mp4")
        part, images = Mp4Part(HEIGHT, WIDTH, 10.0), []
        for frame in draw_drive(0, seconds=count / 10):
            part.add(frame.image, frame.time)
            images.append(frame.image)
        source.write_bytes(part.finish())
        s2m(images[0])  # warms up

        def bare() -> None:
            for image in images:
                s2m(image)

        def whole() -> None:
            predict_video(source, s2m, Path(folder, "out"), fresh=True)

        times = []
        for work in (bare, whole, bare):
            wall, processor = time.perf_counter(), time.process_time()
            work()
            times.append((count / (time.perf_counter() - wall), (time.process_time() - processor) / count))
    table = Table(title=f"{count} frames of {WIDTH}x{HEIGHT}")
    for head in ("", "frames per second", "processor seconds per frame"):
        table.add_column(head, justify="left" if not head else "right")
    for name, (rate, cost) in zip(
        ("pipeline alone", "whole run", "pipeline alone again"), times, strict=True
    ):
        table.add_row(name, f"{rate:.2f}", f"{cost:.2f}")
    console.print(table)
    console.print(f"whole run / pipeline alone: {times[1][0] / ((times[0][0] + times[2][0]) / 2):.2f}")


def memory(minutes: float, console: Console) -> None:
    """Prints the memory of the process along a long video."""
    seconds, rate = 5, 30
    total = round(60 * minutes * rate)
    marks: dict[int, float] = {}

    def note(_: str, done: int, __: int | None) -> None:
        if done % max(1, total // 10) == 0:
            marks[done] = resident()
            console.print(f"frame {done}: {marks[done]:.0f} MB")

    with tempfile.TemporaryDirectory() as folder:
        piece, part = Path(folder, "piece.mp4"), Mp4Part(HEIGHT, WIDTH, rate)
        frames = list(itertools.islice(draw_drive(0, seconds=seconds, fps=5), seconds * 5))
        for number in range(seconds * rate):
            part.add(frames[number * 5 // rate].image, number / rate)
        piece.write_bytes(part.finish())
        source = Path(folder, "long.mp4")
        join_parts(source, ((piece, float(start)) for start in range(0, round(60 * minutes), seconds)))
        began = time.perf_counter()
        run = predict_video(
            source, MadeUp(), Path(folder, "out"), settings={"pipeline": "made up"}, progress=note
        )
        console.print(f"{run.frames} frames in {time.perf_counter() - began:.0f} s, {len(run.tracks)} tracks")
    known = list(marks.values())[1:]  # the first tenth fills caches
    growth = max(known) / known[0] - 1
    console.print(f"from the second tenth on: {min(known):.0f} to {max(known):.0f} MB ({growth:+.1%})")


class MadeUp:
    """Finds three ellipses that move, whatever the image shows; each is gone after ten seconds."""

    def __init__(self) -> None:
        self.number = 0
        self.y, self.x = np.mgrid[:HEIGHT, :WIDTH]

    def __call__(self, image: np.ndarray) -> Prediction:
        """Gives the objects of the next frame."""
        masks, boxes = [], []
        for k in range(3):
            phase = (self.number + 100 * k) % 330
            centre, height, width = (3.5 * phase, 200 + 150 * k), 30 + phase // 5, 40 + phase // 4
            inside = ((self.x - centre[0]) / width) ** 2 + ((self.y - centre[1]) / height) ** 2 < 1
            if phase < 300 and phase % 7:  # now and then it is missed
                masks.append(inside)
                boxes.append((centre[0] - width, centre[1] - height, centre[0] + width, centre[1] + height))
        self.number += 1
        stack = np.array(masks, bool).reshape(-1, HEIGHT, WIDTH)
        found = encode_objects(stack, np.array(boxes).reshape(-1, 4), [0.5] * len(masks))
        return Prediction(None, HEIGHT, WIDTH, found)


def resident() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
