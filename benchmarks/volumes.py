"""Compares the failure detectors of a run of `oodseg train volumes` on the scans it kept for testing.

    python benchmarks/volumes.py --slices SLICES --run RUN [--keep FILE.npz]

SLICES is the folder of `oodseg train slices`, RUN that of `oodseg train volumes`; with several of each, the
folds of a cross-validation, their test scans are taken together. Prints Markdown: true Dice, and of the
estimated Dice of whole volumes the error, correlation and area under risk-coverage, structure by structure;
how often intervals fitted on one random half of the scans hold the truth of the other, and how wide they are.
--keep writes what was estimated, and reads it the next time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.progress import progress_bar
from oodseg.data.slices import labelled_slices
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.storage import load_failure_detector
from oodseg.metrics.conformal import conformal_quantile, coverage
from oodseg.metrics.failure import image_failure_intervals, image_failure_metrics
from oodseg.segmenters.given import GivenLabels
from oodseg.training.volume_measures import measure_volumes
from oodseg.training.volume_predictors import PredictedSlice

F64 = NDArray[np.float64]
FOLDERS = {"synthcp": "detector", "direct": "baselines/direct", "vae_alarm": "baselines/vae_alarm"}
FIGURES = {"pearson": "Pearson", "mae": "MAE", "aurc": "AURC", "excess_aurc": "excess AURC"}
LEVEL, SPLITS = 0.9, 500


def measured(slices: list[Path], runs: list[Path]) -> dict[str, F64]:
    """Estimated and true Dice of the test scans, by detector: float64 `[2, N, S]`; and the structures."""
    found: dict[str, list[F64]] = {name: [] for name in FOLDERS}
    with progress_bar() as bar:
        for source, run in zip(slices, runs, strict=True):
            test = labelled_slices(source)[1]["test"]
            for name, folder in FOLDERS.items():
                judge = load_failure_detector(run / folder)
                if not isinstance(judge, SegmenterAssessor) or not isinstance(judge.segmenter, GivenLabels):
                    raise ConfigError(
                        f"{run / folder} judges no labels: name a run of `oodseg train volumes`"
                    )
                judged = [PredictedSlice(each, judge.segmenter.fallback) for each in test]
                volumes = measure_volumes(judge, judged, bar)
                found[name].append(np.stack([volumes.estimated, volumes.true]))
    return {name: np.concatenate(parts, 1) for name, parts in found.items()}


def halves(guess: F64, true: F64) -> Iterator[tuple[float, float]]:
    """Coverage and width of intervals fitted on one half of the scans, on the other."""
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(true))
        old, new = order[: len(order) // 2], order[len(order) // 2 :]
        reach = conformal_quantile(np.abs(guess - true)[old], LEVEL)
        low, high = np.clip(guess[new] - reach, 0, 1), np.clip(guess[new] + reach, 0, 1)
        yield coverage(low, high, true[new]), float(np.mean(high - low))


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


if __name__ == "__main__":
    main()
