"""Compares street networks, alone and as ensembles, by their objectness on the sets of DATA/benchmarks_dev.

    python benchmarks/networks.py --data DATA --network street [--network RUN ...]

A network is the folder of an `oodseg train segmenter` or the name or folder of a pipeline, of whose ensemble
each network is one. Prints AuPRC and FPR95 in percent, pooled over each set, of every network and of every
ensemble of them, seen at full and at half working size, for several weights of the closer look on the ground.
Scores are compared at a quarter of the label's pixels, a sixteenth of large ones: figures differ a little
from those of `oodseg evaluate`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from oodseg import S2M, read_image
from oodseg.core.build import build
from oodseg.data.layouts import open_dataset
from oodseg.detectors.street import StreetDetector
from oodseg.io.images import resize, to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble
from oodseg.training.street_networks import network_of

# Objectness is kept between -4 and 16 of these units: wide enough for every network.
_RANGE = {"objectness": [-9.0, 2.4]}
_TALL = 900  # rows of a label from which on every fourth is compared


def members_of(source: str) -> list[tuple[str, StreetNet]]:
    """The networks that a run or a pipeline holds, by name."""
    network = network_of([source])
    if not isinstance(network, StreetEnsemble):
        return [(source, network)]
    members: list[Any] = list(network.members)
    return [(f"{source}, network {number}", each) for number, each in enumerate(members, start=1)]


def looks(detector: StreetDetector, sizer: S2M, image: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Computes the score `[h, w]` of an image, and how far a closer look would raise it."""
    height, width = sizer.working_size(*image.shape[:2])
    if 2 * max(height, width) > max(image.shape[:2]):
        score = detector.look(to_tensor(resize(image, height, width))[None]).scores[0]
        return score, torch.zeros_like(score)
    score, more, _ = detector.details(to_tensor(resize(image, 2 * height, 2 * width))[None])
    return score[0], more[0]


def measure(
    folder: Path, detectors: Sequence[StreetDetector], details: Sequence[float], console: Console
) -> dict[tuple[tuple[int, ...], float], tuple[float, float]]:
    """Computes AuPRC and FPR95 of every ensemble, by its members' numbers, and weight of the closer look."""
    sizer = S2M(detectors[0], build("prompts", "components"), build("masks", "box"), working_side=(640, 1024))
    ensembles = [
        chosen
        for count in range(1, len(detectors) + 1)
        for chosen in itertools.combinations(range(len(detectors)), count)
    ]
    columns: dict[Any, list[NDArray[np.float32]]] = {}
    labels: list[NDArray[np.uint8]] = []
    for frame in track(open_dataset(folder).frames, folder.name, console=console, transient=True):
        assert frame.image_path is not None  # labelled sets have images
        image, label = read_image(frame.image_path), frame.label
        step = 4 if label.shape[0] > _TALL else 2
        label = label[::step, ::step]
        labels.append(label.ravel())
        found = [looks(each, sizer, image) for each in detectors]
        for chosen in ensembles:
            score, more = (torch.stack([found[index][part] for index in chosen]).mean(0) for part in (0, 1))
            for detail in details:
                whole = (score + detail * more)[None, None]
                sized = F.interpolate(whole, label.shape, mode="bilinear", align_corners=False)
                columns.setdefault((chosen, detail), []).append(sized.numpy().ravel())
    truth = np.concatenate(labels)
    figures = {key: pixel_metrics(np.concatenate(maps), truth) for key, maps in columns.items()}
    return {key: (100 * each.auprc, 100 * each.fpr95) for key, each in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with benchmarks_dev/")
    parser.add_argument("--network", action="append", required=True, metavar="RUN|PIPELINE")
    parser.add_argument("--details", default="0,0.5,1", help="weights of the closer look")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(width=160)
    networks = dict(named for source in options.network for named in members_of(source))
    names = list(networks)
    detectors = [
        StreetDetector(network, statistics=_RANGE, reductions=(1, 2), detail=1.0)
        for network in networks.values()
    ]
    folders = sorted(path for path in (options.data / "benchmarks_dev").iterdir() if path.is_dir())
    details = [float(each) for each in options.details.split(",")]
    found = [measure(folder, detectors, details, console) for folder in folders]
    table = Table("networks", "detail", *(folder.name for folder in folders), "mean")
    for chosen, detail in found[0]:
        rows = [figures[chosen, detail] for figures in found]
        mean = [statistics.mean(column) for column in zip(*rows, strict=True)]
        cells = [f"{auprc:.1f} / {fpr95:.1f}" for auprc, fpr95 in [*rows, mean]]
        table.add_row(" + ".join(names[index] for index in chosen), f"{detail:g}", *cells)
    console.print(table)


if __name__ == "__main__":
    main()
