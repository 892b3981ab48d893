"""Compares SynthCP with its baselines at detecting segmentation errors and unknown objects.

    python benchmarks/failures.py --data DATA --failures RUN [--held-out RUN --held-out-generator RUN]
    python benchmarks/failures.py --data DATA --detector street --untrained 30 [--member street --learned RUN]
    python benchmarks/failures.py --data DATA --detector street

RUN is a folder of `oodseg train comparator`; the second one was trained with `folds=0` and `held_out`, its
generator with the same `held_out` by `oodseg train resynthesis`. Prints Markdown: pixel and image figures
on the test images of the run's label set, the AuPRC of unknown objects on DATA/benchmarks_dev/road_anomaly,
with the second run that of the held-out classes on CamVid test, and what of its targets each reaches.
With --detector, a bundled one or a folder, and no run, only RoadAnomaly is measured; with --untrained, in its
place, that detector beside those that need no training around its segmenter (not calibrated: the order of
pixels and images counts) on so many images of CamVid test, evenly spread; each --member is another segmenter
of the same classes, which together with the one under test are an ensemble, and is asked as a second opinion
beside the detector. With --learned, the baselines
that learn are trained around its segmenter into that folder, calibrated, and measured beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from failure_tables import (  # type: ignore[import-not-found]  # beside this script
    CONSOLE,
    IGNORE,
    OURS,
    TARGETS,
    assess,
    show,
    table,
    verdict,
    verdicts_on,
)
from numpy.typing import NDArray
from rich.progress import track

from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.parts import Judge, Segmenter
from oodseg.core.progress import progress_bar
from oodseg.core.spec import read_spec
from oodseg.data import open_dataset
from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.baselines import MSP, Energy, Entropy, MaxLogit
from oodseg.failures.consistency import Consistency
from oodseg.failures.crf import CRF
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.ensemble import Ensemble
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.second_opinion import SecondOpinion
from oodseg.failures.storage import load_failure_detector
from oodseg.failures.synthcp_detector import COMBINATIONS, SynthCPDetector
from oodseg.io.images import read_image, resize, to_tensor
from oodseg.metrics.pixel import PixelCurve
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.comparator_segmenter import load_segmenter
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import read_metrics
from oodseg.training.failure_baselines import train_baselines
from oodseg.training.failure_calibration import calibrate
from oodseg.training.failure_detectors import calibration_images
from oodseg.training.labelled import LabelSet, load_label_set
from oodseg.training.resynthesis import load_generator

U8 = NDArray[np.uint8]
LONG_SIDE = 640  # pixels at which detectors look at an image, as in the street pipeline


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
    yield from verdicts_on(found)


def learned(segmenter: Segmenter, images: LabelSet, out: Path) -> list[SegmenterAssessor]:
    """Trains the baselines that learn, goes on where an earlier call stopped, and calibrates them."""
    recipe = load_recipe("comparator", ComparatorRecipe)
    with progress_bar() as bar:
        made = train_baselines(recipe, images.train, segmenter, out, progress=bar)
        judged = calibration_images(recipe, images)
        chosen = [each for each in made if each.name in recipe.learned_baselines]
        for each in chosen:
            calibrate(each, judged, recipe.uses_dice, bar)
    return chosen


def untrained(
    detector: str, data: Path, count: int, members: Sequence[str], folder: Path | None
) -> Iterator[tuple[str, str, str, str]]:
    """Prints failure detection of a detector and of those around its segmenter; yields the verdicts.

    Those need no training, and are not calibrated, but for the ones that are trained into `folder`.
    """
    ours = load_failure_detector(detector)
    if not isinstance(ours, SegmenterAssessor):
        raise ConfigError(
            f"{detector} has no segmenter to judge otherwise: name one of oodseg train comparator"
        )
    images = load_label_set("street", data)
    chosen = images.test[:: max(1, len(images.test) // count)][:count]
    kinds: list[Judge] = [kind(ours.segmenter) for kind in (MSP, Entropy, Energy, MaxLogit, CRF)]
    kinds += [MCDropout(ours.segmenter), TestTimeAugmentation(ours.segmenter), Consistency(ours.segmenter)]
    others = [build_segmenter(read_spec(each)) for each in members]
    if others:
        kinds.append(Ensemble(ours.segmenter, others))
    if folder is not None:
        kinds += learned(ours.segmenter, images, folder)
    kinds.append(ours)
    if others:
        kinds.append(SecondOpinion(ours, others))
    found = {each.name: assess(each, chosen, each.name) for each in kinds}
    show(found, f"{len(chosen)} of {len(images.test)} images of CamVid test", images.classes)
    yield from verdicts_on(found)


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
        "--member", action="append", default=[], metavar="PART", help="another segmenter, for an ensemble"
    )
    parser.add_argument(
        "--learned", type=Path, metavar="RUN", help="train the baselines that learn as well, into this folder"
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
        source, count = arguments.detector or "street", arguments.untrained
        found = untrained(source, arguments.data, count, arguments.member, arguments.learned)
        table("Targets", TARGETS, list(found))
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
    table("Targets", TARGETS, verdicts)


if __name__ == "__main__":
    main()
