"""Measures what each stage of a pipeline costs: its figures with the other stages replaced by ground truth.

    python benchmarks/oracle.py --data DATA [--scenes 40] [--pipeline street]

One table for synthetic validation scenes and one for every set of DATA/benchmarks_dev, over the images that
hold an unknown object; preset `code`. What stands for a perfect stage:

- true score: the score map of an in-distribution street (one of DATA/roads_without_anomalies on which the
  prompts stay quiet) with every object raised to the level at which the detector sees its clearest objects
  (the 95 % quantile of their mean scores on the scenes), its edges as soft as the detector's. So it
  looks like a map of this detector, but for missing no object and raising nothing else.
- true boxes: the tightest box of every object, confidence 1.
- true masks: the object whose tightest box fits the prompt best, if their IoU is at least 0.25; otherwise the
  filled box, as there is nothing in it to outline.

Where labels name no objects, each 8-connected component of the track's minimum size is one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.ops import box_iou

from oodseg import S2M
from oodseg.core.parts import BoxPrompts, PromptGenerator, statistics_of
from oodseg.core.prediction import Prediction
from oodseg.data import open_dataset
from oodseg.io.discovery import find_images
from oodseg.io.images import read_image, resize, to_tensor
from oodseg.masks.growth import tight_box
from oodseg.metrics.components import TRACK_SIZES, drop_small, label_components
from oodseg.metrics.instances import FOUND_IOU
from oodseg.metrics.pixel import ANOMALY, IGNORE
from oodseg.metrics.s2m import S2MCurve
from oodseg.prompts.components import ComponentPrompts
from oodseg.synth.scenes import SceneSampler

SIZES = ((360, 640), (384, 512))
SEED = 99
SMALLEST = 30  # pixels of an object in a scene, as the prompt generator is trained
CLEAR = 0.95  # quantile of the objects' scores
EDGE = 1.5  # pixels of the score map: the detector works at stride 4
FITS = 0.25
COLUMNS = ("AuIoU", "IoU free", "mean F1", "box recall", "boxes")
# Row to (score, prompts, masks); the first is the pipeline itself.
ROWS = {
    "all shipped": ("shipped", "shipped", "shipped"),
    "true score": ("true", "shipped", "shipped"),
    "true boxes": ("shipped", "true", "shipped"),
    "true masks": ("shipped", "shipped", "true"),
    "true score, true masks": ("true", "shipped", "true"),
    "components": ("shipped", "components", "shipped"),
    "components, true score": ("true", "components", "shipped"),
    "components, true masks": ("shipped", "components", "true"),
}

Mask = NDArray[np.bool_]
Features = tuple[Tensor, ...] | None


@dataclass(frozen=True)
class Case:
    """An image, its label (0, 1, 255), and its unknown objects."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    objects: list[Mask]


@dataclass
class Tally:
    """One row of one table."""

    curve: S2MCurve = field(default_factory=S2MCurve)
    found: list[bool] = field(default_factory=list)
    boxes: list[int] = field(default_factory=list)

    def add(self, case: Case, truth: Tensor, boxes: Tensor, confidence: Tensor, masks: Mask) -> None:
        """Adds what was found in an image."""
        found = Prediction.from_masks(masks, boxes.numpy(), confidence.numpy())
        self.curve.update(found.confidence, case.label)
        overlap = box_iou(truth, boxes) if len(boxes) else torch.zeros(len(truth), 1)
        self.found += (overlap.amax(1) >= FOUND_IOU).tolist()
        self.boxes.append(len(boxes))

    def values(self) -> list[float]:
        """A figure for each of `COLUMNS`."""
        curve = self.curve.compute("code")
        shares = (curve.auiou, curve.iou_threshold_free, curve.mean_f1, float(np.mean(self.found)))
        return [*(100 * each for each in shares), float(np.mean(self.boxes))]


class Oracle:
    """A pipeline whose stages can be replaced by the ground truth."""

    def __init__(self, pipeline: S2M, streets: Path) -> None:
        self.pipeline = pipeline
        self.prompts = {"shipped": pipeline.prompts, "components": ComponentPrompts()}
        seen = [self.look(read_image(path)) for path in find_images([streets])]
        quiet = [each for each in seen if not len(self.propose(pipeline.prompts, *each).boxes)] or seen
        self.streets = cycle([score for score, _ in quiet])
        self.level = 0.0

    def look(self, image: NDArray[np.uint8]) -> tuple[Tensor, Features]:
        """Normalised scores at the working size, float32 `[h, w]`, and the features behind them."""
        detector = self.pipeline.detector
        assert detector is not None
        normalizer = self.pipeline.prompts.scale or statistics_of(detector)
        sight = self.pipeline.look(image)
        return normalizer(sight.scores[0]), sight.features

    def propose(self, prompts: PromptGenerator, score: Tensor, features: Features) -> BoxPrompts:
        """Boxes at the pipeline's operating point."""
        return prompts.propose(score[None], features, self.pipeline.operating_point)[0]

    def object_scores(self, case: Case) -> list[float]:
        """Mean shipped score of every object."""
        score, _ = self.look(case.image)
        means = []
        for each in case.objects:
            share = resize(each.astype(np.float32), *score.shape)
            means.append(float((score.numpy() * share).sum() / share.sum()))
        return means

    def true_score(self, case: Case, like: Tensor) -> Tensor:
        """The score map of a detector that sees every object and nothing else."""
        height, width = like.shape
        street = resize(next(self.streets).numpy(), height, width)
        unknown = resize(np.any(case.objects, axis=0).astype(np.float32), height, width)
        unknown = cv2.GaussianBlur(unknown, (0, 0), EDGE)
        raised = self.level + street - street.mean()
        return torch.from_numpy(street * (1 - unknown) + raised * unknown)

    @torch.inference_mode()
    def measure(self, case: Case, tallies: dict[str, Tally]) -> None:
        """Adds an image to every row."""
        height, width = case.label.shape
        truth = torch.from_numpy(np.stack([tight_box(each) for each in case.objects])).float()
        seen: dict[str, tuple[Tensor, Features]] = {"shipped": self.look(case.image)}
        seen["true"] = (self.true_score(case, seen["shipped"][0]), None)
        embedding = self.pipeline.masks.embed(to_tensor(case.image))
        masks: dict[tuple[str, str], Mask] = {}
        for name, (score, prompts, outlines) in ROWS.items():
            if prompts == "true":
                boxes, confidence = truth, torch.ones(len(truth))
            else:
                found = self.propose(self.prompts[prompts], *seen[score])
                confidence = found.confidence
                h, w = seen[score][0].shape
                boxes = found.boxes * torch.tensor([width / w, height / h]).repeat(2)
            key = (score, prompts)
            if outlines == "true":
                drawn = perfect_masks(case, truth, boxes)
            else:
                if key not in masks:
                    masks[key] = self.pipeline.masks.segment(embedding, boxes, seen[score][0]).numpy()
                drawn = masks[key]
            tallies[name].add(case, truth, boxes, confidence, drawn)


def perfect_masks(case: Case, truth: Tensor, boxes: Tensor) -> Mask:
    """The object that fits each box best, or the filled box where none fits."""
    masks = np.zeros((len(boxes), *case.label.shape), bool)
    if len(boxes):
        best, which = box_iou(boxes, truth).max(1)
        for mask, box, iou, index in zip(masks, boxes.round().int().tolist(), best, which, strict=True):
            if iou >= FITS:
                mask[:] = case.objects[int(index)]
            else:
                x0, y0, x1, y1 = (max(0, side) for side in box)
                mask[y0:y1, x0:x1] = True
    return masks


def scene_cases(root: Path, count: int) -> Iterator[Case]:
    """Validation scenes, the sizes taking turns."""
    samplers = [SceneSampler(root, size=size, split="val", seed=SEED) for size in SIZES]
    for number in range(count):
        scene = samplers[number % len(samplers)].sample(np.random.default_rng((SEED, number)))
        unknown = scene.unknown
        label = np.where((unknown > 0) & (unknown < IGNORE), ANOMALY, unknown).astype(np.uint8)
        areas = np.bincount(unknown.ravel(), minlength=256)[1:IGNORE]
        yield Case(scene.image, label, [unknown == k + 1 for k in np.flatnonzero(areas >= SMALLEST)])


def benchmark_cases(folder: Path, count: int | None) -> Iterator[Case]:
    """Images of a benchmark folder."""
    data = open_dataset(folder)
    for frame in data.frames[:count]:
        if frame.image_path is not None:
            label = frame.label
            parts, areas = drop_small(*label_components(label == ANOMALY), TRACK_SIZES[data.track].truth)
            yield Case(read_image(frame.image_path), label, [parts == k for k in range(1, areas.size)])


def show(console: Console, title: str, tallies: dict[str, Tally], seconds: float) -> list[list[float]]:
    """Prints one table and what a perfect stage would add."""
    first = next(iter(tallies.values()))
    table = Table(title=f"{title}: {len(first.boxes)} images, {len(first.found)} objects, {seconds:.0f} s")
    for column in ("row", *COLUMNS):
        table.add_column(column, justify="left" if column == "row" else "right")
    values = {name: tally.values() for name, tally in tallies.items()}
    add_rows(table, values)
    console.print(table)
    return list(values.values())


def add_rows(table: Table, values: dict[str, list[float]]) -> None:
    shipped = values["all shipped"]
    for name, row in values.items():
        gain = f" ({row[0] - shipped[0]:+.1f})" if row is not shipped else ""
        table.add_row(name, f"{row[0]:.1f}{gain}", *(f"{each:.1f}" for each in row[1:4]), f"{row[4]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--scenes", type=int, default=60, help="validation scenes")
    parser.add_argument("--frames", type=int, help="at most so many images of a benchmark")
    parser.add_argument("--pipeline", default="street", help="name or folder of the pipeline")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    console = Console(width=120)
    oracle = Oracle(S2M.from_pretrained(options.pipeline), options.data / "roads_without_anomalies")
    scenes = [case for case in scene_cases(options.data, options.scenes) if case.objects]
    levels = [score for case in scenes for score in oracle.object_scores(case)]
    oracle.level = float(np.quantile(levels, CLEAR))
    console.print(f"a clear object scores {oracle.level:.1f}, the median one {np.median(levels):.1f}\n")
    folders = sorted(each for each in (options.data / "benchmarks_dev").iterdir() if each.is_dir())
    sets: dict[str, Any] = {"synthetic scenes": scenes}
    sets |= {each.name: benchmark_cases(each, options.frames) for each in folders}
    results = []
    for title, cases in sets.items():
        started = time.perf_counter()
        tallies = {name: Tally() for name in ROWS}
        for case in cases:
            if case.objects:
                oracle.measure(case, tallies)
        results.append(show(console, title, tallies, time.perf_counter() - started))
    mean = np.mean(results[1:], axis=0).tolist()
    table = Table(title="mean over the sets of benchmarks_dev")
    for column in ("row", *COLUMNS):
        table.add_column(column, justify="left" if column == "row" else "right")
    add_rows(table, dict(zip(ROWS, mean, strict=True)))
    console.print(table)


if __name__ == "__main__":
    main()
