"""Compares SynthCP with its baselines at detecting segmentation errors and unknown objects.

    python benchmarks/failures.py --data DATA --failures RUN [--held-out RUN --held-out-generator RUN]
    python benchmarks/failures.py --data DATA --detector street [--untrained 30]

RUN is a folder of `oodseg train comparator`; the second one was trained with `folds=0` and `held_out`, its
generator with the same `held_out` by `oodseg train resynthesis`. Prints Markdown: pixel and image figures
on the test images of the run's label set, the AuPRC of unknown objects on DATA/benchmarks_dev/road_anomaly,
with the second run that of the held-out classes on CamVid test, and what of its targets each reaches.
With --detector, a bundled one or a folder, and no run, only RoadAnomaly is measured; with --untrained, in its
place, that detector beside those that need no training around its segmenter (not calibrated: the order of
pixels and images counts) on so many images of CamVid test, evenly spread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Judge
from oodseg.data import open_dataset
from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.baselines import MSP, Energy, Entropy, MaxLogit
from oodseg.failures.crf import CRF
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.storage import load_failure_detector
from oodseg.failures.synthcp_detector import COMBINATIONS, SynthCPDetector
from oodseg.io.images import read_image, resize, to_tensor
from oodseg.metrics.failure import (
    FailureCurve,
    ImageFailureMetrics,
    image_failure_intervals,
    image_failure_metrics,
    image_iou,
)
from oodseg.metrics.pixel import PixelCurve
from oodseg.training.comparator_segmenter import load_segmenter
from oodseg.training.engine.trained import read_metrics
from oodseg.training.labelled import Labelled, load_label_set
from oodseg.training.resynthesis import load_generator

U8 = NDArray[np.uint8]
IGNORE = 255
OURS = "synthcp"
LONG_SIDE = 640  # pixels at which detectors look at an image, as in the street pipeline
PIXELS = ("AUPR-Error", "AUPR-Success", "AUROC", "FPR95")
IMAGES = {
    "mae": "MAE",
    "std": "STD",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "aurc": "AURC",
    "excess_aurc": "excess AURC",
    "calibration_error": "calibration error",
}
MEANS = {f"mean_{name}": f"mIoU {title}" for name, title in IMAGES.items() if name != "std"}
CONSOLE = Console(stderr=True)


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    head = list(head)
    print(f"\n## {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def verdict(what: str, found: float, wanted: float) -> tuple[str, str, str, str]:
    return what, f"{found:.3f}", f"{wanted:.3f}", "reached" if found >= wanted else "**not reached**"


@dataclass
class Found:
    """What was measured of one failure detector: pixel figures, image figures, and their 95 % intervals."""

    pixels: tuple[float, ...]
    images: ImageFailureMetrics
    intervals: dict[str, tuple[float, float]]

    def with_interval(self, name: str) -> str:
        """Gives one image figure as text, its interval behind it."""
        low, high = self.intervals[name]
        return f"{vars(self.images)[name]:.3f} ({low:.3f}–{high:.3f})"


def assess(detector: Judge, images: Sequence[Labelled], name: str) -> Found:
    """Measures one failure detector on the test images."""
    count = len(detector.classes)
    curve, guessed, true, means = FailureCurve(), [], [], []
    for each in track(images, name, console=CONSOLE, transient=True):
        image, truth = each.read()
        found = detector.assess(to_tensor(image))
        curve.update(found.error, found.labels != truth, truth == IGNORE)
        guessed.append(found.class_quality)
        true.append(image_iou(found.labels, truth, count))
        means.append(found.mean_quality)
    pixels = curve.compute()
    rows = np.stack(guessed), np.stack(true), np.array(means)
    return Found(
        (pixels.aupr_error, pixels.aupr_success, pixels.auroc, pixels.fpr95),
        image_failure_metrics(*rows),
        image_failure_intervals(*rows),
    )


def failures(run: Path, data: Path) -> Iterator[tuple[str, str, str, str]]:
    """Prints failure detection; yields the verdicts."""
    recipe = read_recipe(run)
    images = load_label_set(recipe["labels"], data, recipe["held_out"])
    folders = sorted(each for each in (run / "detectors").iterdir() if each.name != OURS)
    found = {
        each.name: assess(load_failure_detector(each), images.test, each.name)
        for each in [*folders, run / "detectors" / OURS]
    }
    where = f"{len(images.test)} test images, {len(images.classes)} classes"
    show(found, where, images.classes)
    ours, rest = found[OURS], [each for name, each in found.items() if name != OURS]
    best = max(each.pixels[0] for each in rest)
    yield verdict("AUPR-Error, 6 % above the best baseline", ours.pixels[0], 1.06 * best)
    pearson = ours.images.mean_pearson
    yield verdict("mIoU Pearson, at least 0.5", pearson, 0.5)
    best = max(each.images.mean_pearson for each in rest)
    yield verdict("mIoU Pearson, 0.07 above the best baseline", pearson, best + 0.07)
    least = min(each.images.mean_aurc for each in rest)
    yield verdict("1 - mIoU AURC, above all baselines", 1 - ours.images.mean_aurc, 1 - least)


def show(found: Mapping[str, Found], where: str, classes: Sequence[str]) -> None:
    """Prints the tables of failure detection."""
    rows = [[name, *(f"{value:.3f}" for value in each.pixels)] for name, each in found.items()]
    table(f"Wrong pixels: {where}", ["detector", *PIXELS], rows)
    for title, columns in (("Quality of a class", IMAGES), ("Quality of an image", MEANS)):
        rows = [[name, *map(each.with_interval, columns)] for name, each in found.items()]
        table(f"{title}: {where}", ["detector", *columns.values()], rows)
    for figure in ("pearson", "aurc"):
        rows = [[name, *(f"{v:.3f}" for v in each.images.by_class[figure])] for name, each in found.items()]
        table(f"{IMAGES[figure]} by class", ["detector", *classes], rows)


def untrained(detector: str, data: Path, count: int) -> None:
    """Prints failure detection of a detector and of those around its segmenter that need no training."""
    ours = load_failure_detector(detector)
    if not isinstance(ours, SegmenterAssessor):
        raise ConfigError(
            f"{detector} has no segmenter to judge otherwise: name one of oodseg train comparator"
        )
    images = load_label_set("street", data)
    chosen = images.test[:: max(1, len(images.test) // count)][:count]
    kinds: list[Judge] = [kind(ours.segmenter) for kind in (MSP, Entropy, Energy, MaxLogit, CRF)]
    kinds += [MCDropout(ours.segmenter), TestTimeAugmentation(ours.segmenter), ours]
    found = {each.name: assess(each, chosen, each.name) for each in kinds}
    show(found, f"{len(chosen)} of {len(images.test)} images of CamVid test", images.classes)


Scorer = Callable[[torch.Tensor], torch.Tensor]  # image [1, 3, H, W] to scores [H, W]


def first_of(detector: SynthCPDetector) -> Scorer:
    """The detector's score of the only image of a batch."""
    return lambda image: detector.score(image)[0]


def scorers(parts: dict[str, Any], direct: Path | None = None) -> dict[str, Scorer]:
    """Every combination of `SynthCPDetector`, and MSP times the error seen without re-synthesis.

    Args:
        parts: Arguments of `SynthCPDetector`.
        direct: Folder of the failure detector without re-synthesis.
    """
    found: dict[str, Scorer] = {}
    default = SynthCPDetector(**parts)
    tells = default.comparator is not None and default.comparator.unknown is not None
    for combine in COMBINATIONS:
        lacks = {"comparison": default.comparator is None, "unknown": not tells}
        if not lacks.get(combine, False):
            found[combine] = first_of(SynthCPDetector(**parts, combine=combine))
    if direct is not None:
        judge, doubt = load_failure_detector(direct), found["msp"]
        found["direct comparison"] = lambda image: (
            doubt(image) * torch.from_numpy(judge.assess(image[0]).error)
        )
    return found


def unknown_objects(
    title: str, scores: dict[str, Scorer], samples: Callable[[], Iterator[tuple[U8, U8]]]
) -> Iterator[tuple[str, str, str, str]]:
    """Prints AuPRC and FPR95 of every score, pooled over all pixels; yields the verdict on the default one.

    Args:
        title: What the images are.
        scores: By name; see `scorers`.
        samples: Images uint8 `[H, W, 3]` with labels uint8 `[H, W]`: 1 unknown, 0 known, 255 ignored.
    """
    found = {}
    for name, score in scores.items():
        curve = PixelCurve()
        for image, label in track(list(samples()), name, console=CONSOLE, transient=True):
            scale = min(1.0, LONG_SIDE / max(label.shape))
            small = resize(image, round(label.shape[0] * scale), round(label.shape[1] * scale))
            curve.update(resize(score(to_tensor(small)[None]).numpy(), *label.shape), label)
        metrics = curve.compute()
        found[name] = (metrics.auprc, metrics.fpr95)
    rows = ((name, *(f"{value:.3f}" for value in figures)) for name, figures in found.items())
    table(title, ("score", "AuPRC", "FPR95"), rows)
    ours = next(each for each in ("unknown", "comparison", "product") if each in found)
    what = f"{title.partition(':')[0]}: AuPRC of MSP x re-synthesis ({ours}), 20 % above MSP"
    yield verdict(what, found[ours][0], 1.2 * found["msp"][0])


def road_anomaly(folder: Path) -> Iterator[tuple[U8, U8]]:
    for frame in open_dataset(folder).frames:
        if frame.image_path is not None:
            yield read_image(frame.image_path), frame.label


def held_out_classes(run: Path, data: Path) -> Iterator[tuple[U8, U8]]:
    recipe = read_recipe(run)
    images = load_label_set(recipe["labels"], data)
    unknown = [images.classes.index(each) for each in recipe["held_out"]]
    for each in images.test:
        image, truth = each.read()
        yield image, np.where(truth == IGNORE, IGNORE, np.isin(truth, unknown)).astype(np.uint8)


def read_recipe(run: Path) -> dict[str, Any]:
    recipe: dict[str, Any] = read_metrics(run)["recipe"]
    return recipe


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with camvid/, idd_lite/, benchmarks_dev/"
    )
    parser.add_argument("--failures", type=Path, help="run of oodseg train comparator")
    parser.add_argument(
        "--detector", help="synthcp detector whose scores of unknown objects are measured, if not the run's"
    )
    parser.add_argument(
        "--untrained", type=int, metavar="IMAGES", help="compare with detectors that need no training instead"
    )
    parser.add_argument(
        "--held-out", type=Path, help="run of oodseg train comparator with held_out and folds=0"
    )
    parser.add_argument(
        "--held-out-generator", type=Path, help="run of oodseg train resynthesis with held_out"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if bool(arguments.held_out) != bool(arguments.held_out_generator):
        parser.error("--held-out and --held-out-generator go together")
    torch.set_num_threads(arguments.threads)
    verdicts: list[tuple[str, str, str, str]] = []
    if arguments.failures:
        verdicts += failures(arguments.failures, arguments.data)
    if arguments.untrained is not None:
        untrained(arguments.detector or "street", arguments.data, arguments.untrained)
        return
    if arguments.failures or arguments.detector:
        folder = arguments.data / "benchmarks_dev" / "road_anomaly"
        if folder.is_dir():
            run = arguments.failures / "detectors" if arguments.failures else None
            source = arguments.detector or arguments.failures / "detectors" / OURS
            scores = scorers({"source": source}, run / "direct" if run else None)
            verdicts += unknown_objects("RoadAnomaly: unknown objects", scores, partial(road_anomaly, folder))
    if arguments.held_out:
        network = load_segmenter(arguments.held_out / "segmenter")
        made, _ = load_generator(arguments.held_out_generator)
        classes = ", ".join(read_recipe(arguments.held_out)["held_out"])
        verdicts += unknown_objects(
            f"Held out: {classes}",
            scorers({"segmenter": network, "generator": made}),
            partial(held_out_classes, arguments.held_out, arguments.data),
        )
    table("Targets", ("what", "found", "wanted", ""), verdicts)


if __name__ == "__main__":
    main()
