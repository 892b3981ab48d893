"""Measures whether the box thresholds of `oodseg calibrate --risk` keep on new images what they promise.

    python benchmarks/risk_control.py --data DATA [--pipeline street] [--risk miss] [--keep FILE.npz]

Prints Markdown: all images of DATA/benchmarks_dev in one pool, a threshold chosen on one random half and
measured on the other, 500 times over, which makes the halves exchangeable. --keep writes what every image
loses at every threshold, and reads it the next time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from oodseg.core.errors import ConfigError
from oodseg.core.guarantee import RISKS
from oodseg.data import open_dataset
from oodseg.evaluation.risk_control import THRESHOLDS, least_confidence, risk_losses
from oodseg.pipeline import S2M

SPLITS = 500
TARGETS = {
    "miss": (0.1, 0.2, 0.3, 0.4, 0.5),
    "miss_objects": (0.3, 0.5, 0.7),
    "false_alarms": (0.25, 0.5, 1, 2),
}


def all_losses(data: Path, pipeline: str, risk: str, keep: Path | None) -> NDArray[np.float64]:
    """What every image of all sets loses at every threshold, `[N, T]`."""
    if keep is not None and keep.is_file():
        with np.load(keep, allow_pickle=False) as file:
            return np.asarray(file["losses"])
    s2m = S2M.from_pretrained(pipeline)
    folders = sorted(each for each in (data / "benchmarks_dev").iterdir() if each.is_dir())
    frames = [frame for folder in folders for frame in open_dataset(folder).frames]
    shown = track(frames, risk, console=Console(stderr=True), transient=True)
    losses = np.array([loss for frame in shown for loss in risk_losses(s2m, [frame], risk)])
    if keep is not None:
        np.savez(keep, losses=losses)
    return losses


def row(losses: NDArray[np.float64], risk: str, target: float) -> str:
    """Mean over the splits of threshold and of the loss on the half that it was not chosen on."""
    found = []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(losses))
        old, new = losses[order[: len(order) // 2]], losses[order[len(order) // 2 :]]
        try:
            least = least_confidence(old, risk, target)
        except ConfigError:
            continue
        found.append((least, new[:, np.searchsorted(THRESHOLDS, least)].mean()))
    if len(found) < SPLITS:
        return f"| {target} | kept by no threshold in {SPLITS - len(found)} of {SPLITS} halves | | |"
    (least, loss), spread = np.mean(found, 0), np.std(found, 0)
    return f"| {target} | {loss:.3f} | {spread[1]:.3f} | {least:.3f} ± {spread[0]:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with benchmarks_dev/")
    parser.add_argument("--pipeline", default="street", help="bundled pipeline or folder")
    parser.add_argument("--risk", choices=sorted(RISKS), default="miss")
    parser.add_argument("--keep", type=Path, metavar="FILE.npz", help="what every image loses")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    losses = all_losses(arguments.data, arguments.pipeline, arguments.risk, arguments.keep)
    print(f"\n## {arguments.risk}: {len(losses)} images, half of them to calibrate on\n")
    print("| target | mean loss of new images | spread over draws | least confidence |\n|---|---|---|---|")
    for target in TARGETS[arguments.risk]:
        print(row(losses, arguments.risk, target))


if __name__ == "__main__":
    main()
