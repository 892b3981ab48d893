"""Compares the failure detectors of a run of `oodseg train volumes` on the scans it kept for testing.

    python benchmarks/volumes.py --slices SLICES --run RUN [--keep FILE.npz]

SLICES is the folder of `oodseg train slices`, RUN that of `oodseg train volumes`; with several of each, the
folds of a cross-validation, their test scans are taken together. Beside those of the run stand detectors that
need no training, calibrated on the run's validation scans: the confidence of its segmenter, test-time
augmentation, an ensemble of it and those of the folds, and the look of the labels. Prints Markdown: true
Dice, and of the estimated Dice of whole volumes the error, correlation and area under risk-coverage,
structure by structure; how often intervals fitted on one random half of the scans hold the truth of the
other, and how wide they are; and how far SynthCP is above the best of the others, with the 95 % interval of
resampled scans. --keep writes what was estimated, and reads it the next time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.progress import progress_bar
from oodseg.data.slices import LabelledSlice, labelled_slices
from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.baselines import MSP
from oodseg.failures.consistency import Consistency
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.ensemble import Ensemble
from oodseg.failures.storage import load_failure_detector
from oodseg.metrics.conformal import conformal_quantile, coverage
from oodseg.metrics.failure import image_failure_intervals, image_failure_metrics
from oodseg.segmenters.given import GivenLabels
from oodseg.segmenters.tiled import TiledSegmenter
from oodseg.training.comparator_segmenter import load_segmenter
from oodseg.training.failure_calibration import calibrate
from oodseg.training.volume_measures import measure_volumes
from oodseg.training.volume_predictors import PredictedSlice

F64 = NDArray[np.float64]
FOLDERS = {"synthcp": "detector", "direct": "baselines/direct", "vae_alarm": "baselines/vae_alarm"}
OURS, GAIN = "synthcp", 0.07  # of the paper, on pancreas
FIGURES = {"pearson": "Pearson", "mae": "MAE", "aurc": "AURC", "excess_aurc": "excess AURC"}
LEVEL, SPLITS, RESAMPLES = 0.9, 500, 1000


@dataclass(frozen=True)
class PlainSlice:
    """A slice that is judged as the judge's own segmenter labels it."""

    slice: LabelledSlice

    @property
    def case(self) -> str:
        """The scan that it was cut from."""
        return self.slice.case

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Reads the image and the true classes."""
        return self.slice.read()

    def labels(self, image: torch.Tensor) -> None:
        """Leaves them to the judge's segmenter."""


def untrained(given: GivenLabels, run: Path, val: list[LabelledSlice]) -> list[SegmenterAssessor]:
    """The detectors around a run's segmenter that need no training, calibrated."""
    whole = given.fallback
    if not isinstance(whole, TiledSegmenter):
        raise ConfigError(f"{run} has no segmenter of its own: cut the slices without --predictions")
    folds = [load_segmenter(each) for each in sorted(run.glob("fold_*"))]
    members = [TiledSegmenter(each, scales=whole.scales) for each in folds]
    found = [MSP(whole), TestTimeAugmentation(whole), Ensemble(whole, members), Consistency(whole)]
    for each in found:
        calibrate(each, val, dice=True)
    return found


def measured(slices: list[Path], runs: list[Path]) -> dict[str, F64]:
    """Estimated and true Dice of the test scans, by detector: float64 `[2, N, S]`."""
    found: dict[str, list[F64]] = {}
    with progress_bar() as bar:
        for source, run in zip(slices, runs, strict=True):
            splits = labelled_slices(source)[1]
            for name, folder in FOLDERS.items():
                judge = load_failure_detector(run / folder)
                if not isinstance(judge, SegmenterAssessor) or not isinstance(judge.segmenter, GivenLabels):
                    raise ConfigError(
                        f"{run / folder} judges no labels: name a run of `oodseg train volumes`"
                    )
                given = judge.segmenter
                judged = [PredictedSlice(each, given.fallback) for each in splits["test"]]
                volumes = measure_volumes(judge, judged, bar)
                found.setdefault(name, []).append(np.stack([volumes.estimated, volumes.true]))
            if splits["test"][0].prediction is not None:
                continue
            for plain in untrained(given, run, splits["val"]):
                volumes = measure_volumes(plain, [PlainSlice(each) for each in splits["test"]], bar)
                found.setdefault(plain.name, []).append(np.stack([volumes.estimated, volumes.true]))
    return {name: np.concatenate(parts, 1) for name, parts in found.items()}


def halves(guess: F64, true: F64) -> Iterator[tuple[float, float]]:
    """Coverage and width of intervals fitted on one half of the scans, on the other."""
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(true))
        old, new = order[: len(order) // 2], order[len(order) // 2 :]
        reach = conformal_quantile(np.abs(guess - true)[old], LEVEL)
        low, high = np.clip(guess[new] - reach, 0, 1), np.clip(guess[new] + reach, 0, 1)
        yield coverage(low, high, true[new]), float(np.mean(high - low))


def above(found: dict[str, F64]) -> str:
    """How far SynthCP's correlation is above that of the best other detector, in a sentence."""

    def pearson(name: str, rows: NDArray[np.int64]) -> float:
        guess, true = found[name]
        return image_failure_metrics(guess[rows], true[rows]).mean_pearson

    count = len(found[OURS][0])
    every = np.arange(count)
    best = max((name for name in found if name != OURS), key=lambda name: pearson(name, every))
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, count, size=count) for _ in range(RESAMPLES)]
    low, high = np.quantile([pearson(OURS, rows) / pearson(best, rows) - 1 for rows in drawn], [0.025, 0.975])
    gain = pearson(OURS, every) / pearson(best, every) - 1
    return (
        f"mean Pearson of {OURS} over that of the best other, {best}: {gain:+.1%} ({low:+.1%} to "
        f"{high:+.1%}); wanted {GAIN:+.0%}: {'reached' if gain >= GAIN else '**not reached**'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=Path, action="append", required=True, help="of oodseg train slices")
    parser.add_argument("--run", type=Path, action="append", required=True, help="of oodseg train volumes")
    parser.add_argument("--keep", type=Path, metavar="FILE.npz", help="what was estimated")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if len(arguments.slices) != len(arguments.run):
        parser.error("give --slices and --run equally often")
    torch.set_num_threads(arguments.threads)
    structures = labelled_slices(arguments.slices[0])[0][1:]
    if arguments.keep is not None and arguments.keep.is_file():
        with np.load(arguments.keep, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    else:
        found = measured(arguments.slices, arguments.run)
        if arguments.keep is not None:
            np.savez(arguments.keep, **found)  # type: ignore[arg-type]
    true = found["synthcp"][1]
    said = ", ".join(
        f"{name} {np.nanmean(column):.3f} ± {np.nanstd(column):.3f}"
        for name, column in zip(structures, true.T, strict=True)
    )
    print(f"\n{len(true)} scans; true Dice of the labels that are judged: {said}\n")
    titles = [f"{title}, {name}" for name in structures for title in FIGURES.values()]
    print(f"| detector | {' | '.join(titles)} | mean Pearson (95 %) | mean MAE (95 %) |")
    print(f"|{'---|' * (len(titles) + 3)}")
    for name, (guess, truth) in found.items():
        figures, ends = image_failure_metrics(guess, truth), image_failure_intervals(guess, truth)
        cells = [f"{figures.by_class[each][k]:.3f}" for k in range(len(structures)) for each in FIGURES]
        cells += [
            f"{vars(figures)[each]:.3f} ({ends[each][0]:.3f}–{ends[each][1]:.3f})"
            for each in ("mean_pearson", "mean_mae")
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\n| detector | structure | coverage of {LEVEL:.0%} intervals | width |\n|---|---|---|---|")
    for name, (guess, truth) in found.items():
        for k, structure in enumerate(structures):
            known = ~np.isnan(guess[:, k]) & ~np.isnan(truth[:, k])
            share, width = np.array(list(halves(guess[known, k], truth[known, k]))).mean(0)
            print(f"| {name} | {structure} | {share:.3f} | {width:.3f} |")
    print(f"\n{above(found)}")


if __name__ == "__main__":
    main()
