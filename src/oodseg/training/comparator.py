"""Trains the comparator of SynthCP, and everything it needs and is measured against, in steps that resume.

1. `segmenter/`: the segmenter under test, on all training images.
2. `fold_0/` ...: segmenters that each leave out one part of the training images.
3. `cache/`: every training image as predicted by the segmenter that never saw it, and made back; a second
   time with unknown objects pasted in, which are wrong whatever they are called.
4. `comparator/`, `direct/`: the comparator, and the same without the re-synthesis.
5. `tcp/`: the head of the TCP baseline.
6. `detectors/`: all failure detectors, calibrated on the validation images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.files import write_json
from oodseg.core.fingerprint import hash_part
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.baselines import MSP, TCP, Energy, Entropy, MaxLogit, MCDropout
from oodseg.failures.comparator import Comparator, comparator_loss
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import DirectPrediction, SynthCP
from oodseg.failures.synthcp_detector import COMBINATIONS, SynthCPDetector
from oodseg.io.images import to_tensor
from oodseg.metrics.failure import FailureCurve, image_dice, image_failure_metrics, image_iou
from oodseg.segmenters import Segmenter
from oodseg.segmenters.street import StreetNet
from oodseg.training.common import (
    Ema,
    adamw,
    last_checkpoint,
    load_recipe,
    make_trainer,
    stream_loader,
)
from oodseg.training.comparator_baselines import calibrate, train_tcp
from oodseg.training.comparator_cache import Predicted, build_cache, read_cached
from oodseg.training.comparator_segmenter import (
    FoldRecipe,
    goes_on,
    load_segmenter,
    train_segmenter,
)
from oodseg.training.exposed import Exposed, unknown_objects
from oodseg.training.labelled import Labelled, LabelSet, load_label_set, random_light

# Image, re-synthesis [3, H, W], probabilities [C, H, W], labels, truth [H, W], quality [C].
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


# What a comparator does not depend on, or only through the cache.
_LENGTHS = {"max_steps", "segmenter", "tcp_steps", "workers", "val_every_steps", "calibration_images"}


class ComparatorRecipe(BaseModel):
    """All settings of a training of the comparator."""

    model_config = ConfigDict(extra="forbid")
    seed: int = 0
    labels: str = "street"
    held_out: list[str] = []
    quality: Literal["iou", "dice"] = "iou"
    folds: int = Field(default=4, ge=0)
    exposure: float = Field(default=0.3, ge=0, le=1)
    segmenter: FoldRecipe = FoldRecipe()
    size: tuple[int, int] = (192, 256)
    widths: list[int] = [24, 32, 64, 96, 128]
    fused: int = Field(default=16, ge=1)
    light: float = Field(default=0.1, ge=0, le=0.5)
    max_steps: int = Field(default=2200, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    decay_fraction: float = Field(default=0.5, ge=0, le=1)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    quality_weight: float = Field(default=1.0, ge=0)
    tcp_steps: int = Field(default=800, ge=1)
    precision: str = "bf16-mixed"
    workers: int = Field(default=1, ge=0)
    val_every_steps: int = Field(default=500, ge=1)
    calibration_images: int = Field(default=200, ge=1)


class CachedMaker:
    """Makes numbered training samples from cached predictions.

    Args:
        paths: Files of `build_cache`; each is equally likely.
        recipe: Seed, light, what quality means, and how often a file with unknown objects comes up.
        exposed: Files with unknown objects; may be none.
    """

    def __init__(self, paths: Sequence[Path], recipe: ComparatorRecipe, exposed: Sequence[Path] = ()) -> None:
        self.paths, self.recipe, self.exposed = paths, recipe, exposed

    def __call__(self, index: int) -> Batch:
        """A sample, mirrored and lit at random."""
        rng = np.random.default_rng((self.recipe.seed, index))
        paths = self.exposed if self.exposed and rng.random() < self.recipe.exposure else self.paths
        found = read_cached(paths[int(rng.integers(len(paths)))])
        if rng.random() < 0.5:
            found = found.mirrored()
        light = random_light(found.image, rng, self.recipe.light)
        return as_sample(Predicted(**{**vars(found), "image": light}), self.recipe.quality == "dice")


def as_sample(found: Predicted, dice: bool) -> Batch:
    """Makes the comparator's input: maps as uint8 tensors; quality float32, NaN where a class is absent."""
    measure = image_dice if dice else image_iou
    quality = measure(found.labels, found.truth, found.probabilities.shape[2]).astype(np.float32)
    planes = [found.image, found.resynthesis, found.probabilities]
    image, resynthesis, shares = (
        torch.from_numpy(np.ascontiguousarray(each.transpose(2, 0, 1))) for each in planes
    )
    return (
        image,
        resynthesis,
        shares,
        torch.from_numpy(found.labels),
        torch.from_numpy(found.truth),
        torch.from_numpy(quality),
    )


class ComparatorModule(LightningModule):  # type: ignore[misc]
    """Lightning's view of the training; `network` is what is shipped."""

    def __init__(
        self,
        recipe: ComparatorRecipe,
        classes: int,
        resynthesis: bool,
        make: CachedMaker,
        val: Sequence[Path],
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = Comparator(classes, recipe.widths, recipe.fused, resynthesis, min(recipe.size))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._make, self._val = make, val
        self._curve, self._qualities = FailureCurve(), list[tuple[Any, Any]]()

    def _compare(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        images, resynthesis, shares = (each.float() / 255 for each in batch[:3])
        other = resynthesis if self.network.sees_resynthesis else None
        error, quality = self.network(images, shares, other)
        return error, quality, shares.amax(1)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step; see `comparator_loss`."""
        error, quality, confidence = self._compare(batch)
        parts = comparator_loss(error, quality, confidence, *batch[3:])
        total = parts["pixels"] + self.recipe.quality_weight * parts["classes"]
        self.log_dict({f"train/{name}": value.detach() for name, value in parts.items()})
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Collects errors and qualities on images of the validation split."""
        error, quality, confidence = self._compare(batch)
        full = torch.nn.functional.interpolate(error[:, None], confidence.shape[-2:], mode="bilinear")[:, 0]
        wrongness = full.float().sigmoid().cpu().numpy()
        labels, truth, true = (each.cpu().numpy() for each in batch[3:])
        for row, estimate in enumerate(quality.float().sigmoid().cpu().numpy()):
            self._curve.update(wrongness[row], labels[row] != truth[row], truth[row] == IGNORE)
            predicted = np.bincount(labels[row].ravel(), minlength=len(estimate))[: len(estimate)] > 0
            self._qualities.append((np.where(predicted, estimate, np.nan), true[row]))

    def on_validation_epoch_end(self) -> None:
        """Logs AUPR-Error and the correlation of the images' mean quality."""
        pixels = self._curve.compute()
        images = image_failure_metrics(*(np.stack(each) for each in zip(*self._qualities, strict=True)))
        self.log_dict(
            {
                "val/aupr_error": pixels.aupr_error,
                "val/fpr95": pixels.fpr95,
                "val/pearson": np.nan_to_num(images.mean_pearson),
                "val/class_pearson": np.nan_to_num(images.pearson),
            },
            prog_bar=True,
        )
        self._curve, self._qualities = FailureCurve(), []

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless samples, going on from the step that a resumed training has reached."""
        start = self.trainer.global_step * self.recipe.batch_size
        return stream_loader(self._make, self.recipe.batch_size, start, self.recipe.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """The same images every time."""
        dice = self.recipe.quality == "dice"
        fixed = [as_sample(read_cached(path), dice) for path in self._val]
        return DataLoader(fixed, batch_size=self.recipe.batch_size)  # type: ignore[arg-type]

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW; warm-up, constant rate, linear decay."""
        return adamw(self.network, self.recipe)


def train(
    recipe: ComparatorRecipe | str | Path,
    data_root: Path,
    out: Path,
    generator: tuple[SpadeGenerator, Sequence[str]] | None,
    segmenter: Segmenter | None = None,
    resume: bool = True,
    progress: bool = True,
) -> Path:
    """Trains and calibrates all failure detectors.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run; see the head of this module.
        generator: The generator and its classes; None only where the recipe has no folds.
        segmenter: The segmenter under test; None to train one.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoints.
        progress: Show progress bars.

    Returns:
        `out/detectors`, one folder per failure detector, for `load_failure_detector`.

    Raises:
        ConfigError: A recipe that cannot be used, or parts of other classes.
        DatasetError: Missing data.
    """
    if not isinstance(recipe, ComparatorRecipe):
        recipe = load_recipe(recipe, ComparatorRecipe)
    found = load_label_set(recipe.labels, data_root, recipe.held_out)
    if len(found.train) < max(2, recipe.folds) or not found.val:
        raise DatasetError(
            f"{data_root} holds too few images of the label set {recipe.labels} for {recipe.folds} folds"
        )
    if recipe.folds == 1:
        raise ConfigError("one fold leaves no image to learn on: take at least 2, or 0 for no comparator")
    if recipe.folds and generator is None:
        raise ConfigError("the comparator needs a generator: name its run with --generator")
    _check_classes("segmenter", None if segmenter is None else segmenter.classes, found.classes)
    _check_classes("generator", None if generator is None else generator[1], found.classes)
    options: dict[str, Any] = {"resume": resume, "progress": progress}
    if segmenter is None:
        path = train_segmenter(
            recipe.segmenter, found.train, found.classes, out / "segmenter", recipe.seed, **options
        )
        segmenter = load_segmenter(path)
    detectors: list[SegmenterAssessor] = [kind(segmenter) for kind in (MSP, Entropy, Energy, MaxLogit)]
    if isinstance(segmenter, StreetNet):
        detectors.append(MCDropout(segmenter, rate=recipe.segmenter.dropout))
    if segmenter.segment(torch.zeros(1, 3, *recipe.segmenter.size)).features is not None:
        head = train_tcp(
            recipe.segmenter, recipe.tcp_steps, segmenter, found.train, out / "tcp", recipe.seed, **options
        )
        detectors.append(TCP(segmenter, head))
    if recipe.folds and generator is not None:
        made = _comparators(recipe, found, data_root, out, generator[0], segmenter, options)
        detectors += [DirectPrediction(segmenter, made[0]), SynthCP(segmenter, generator[0], made[1])]
    every = -(-len(found.val) // recipe.calibration_images)
    for detector in detectors:
        calibrate(detector, found.val[::every], recipe.quality == "dice", progress)
        notes = {}
        if isinstance(detector, SynthCP):
            notes["anomaly_statistics"] = anomaly_statistics(detector, found.val[::every], progress)
        save_failure_detector(detector, out / "detectors" / detector.name, notes)
    write_json(out / "recipe.json", recipe.model_dump(), indent=1)
    return out / "detectors"


def _check_classes(part: str, classes: Sequence[str] | None, wanted: Sequence[str]) -> None:
    if classes is not None and tuple(classes) != tuple(wanted):
        raise ConfigError(
            f"the {part} knows the classes {', '.join(classes)}, the images have {', '.join(wanted)}: "
            "train it on the same label set"
        )


def _comparators(
    recipe: ComparatorRecipe,
    found: LabelSet,
    data_root: Path,
    out: Path,
    generator: SpadeGenerator,
    segmenter: Segmenter,
    options: dict[str, Any],
) -> list[Comparator]:
    """Folds, cache, and the two comparators: without and with re-synthesis."""
    # Whole stretches of neighbours: frames of one drive are too alike to be told apart by chance.
    parts = np.array_split(np.arange(len(found.train)), recipe.folds)
    items: list[tuple[Labelled, Segmenter]] = []
    for number, part in enumerate(parts):
        left_out = set(part.tolist())
        rest = [each for index, each in enumerate(found.train) if index not in left_out]
        path = train_segmenter(
            recipe.segmenter, rest, found.classes, out / f"fold_{number}", recipe.seed + number + 1, **options
        )
        fold = load_segmenter(path)
        items += [(found.train[index], fold) for index in part]
    networks = [generator, segmenter, *{id(fold): fold for _, fold in items}.values()]
    mark = [[recipe.labels, recipe.held_out], [hash_part(each) for each in networks]]
    arguments = (generator, recipe.size, mark, options["progress"])
    shown = [(each, fold.segment) for each, fold in items]
    train_paths = build_cache(out / "cache" / "train", shown, *arguments)
    exposed: list[Path] = []
    if recipe.exposure:
        things = unknown_objects(data_root)
        pasted = [
            (Exposed(each, things, (recipe.seed, index)), fold.segment)
            for index, (each, fold) in enumerate(items)
        ]
        exposed = build_cache(out / "cache" / "exposed", pasted, *arguments)
    every = -(-len(found.val) // recipe.calibration_images)
    judged = [(each, segmenter.segment) for each in found.val[::every]]
    val_paths = build_cache(out / "cache" / "val", judged, *arguments)
    return [
        train_comparator(
            recipe, len(found.classes), kind, (train_paths, exposed), val_paths, out, mark, options
        )
        for kind in (False, True)
    ]


def anomaly_statistics(
    detector: SynthCP, images: Sequence[Labelled], progress: bool
) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of every combination's score on images in which nothing is unknown."""
    batch = [to_tensor(each.read()[0])[None] for each in images]
    found = {}
    tells = detector.comparator.unknown is not None
    combinations = [each for each in COMBINATIONS if tells or each != "unknown"]
    for combine in track(combinations, "statistics", disable=not progress):
        scorer = SynthCPDetector(
            segmenter=detector.segmenter,
            generator=detector.generator,
            comparator=detector.comparator,
            calibration=detector.calibration,
            combine=combine,
        )
        fitted = ScoreNormalizer.fit(scorer.score(image) for image in batch)
        found[combine] = (fitted.mean, fitted.std)
    return found


def train_comparator(
    recipe: ComparatorRecipe,
    classes: int,
    resynthesis: bool,
    train_paths: tuple[Sequence[Path], Sequence[Path]],
    val_paths: Sequence[Path],
    out: Path,
    mark: Any,
    options: dict[str, Any],
) -> Comparator:
    """Trains one comparator from cached predictions.

    Args:
        recipe: The settings.
        classes: Number of classes.
        resynthesis: Whether it sees the re-synthesis; without it is "direct prediction".
        train_paths: Files of `build_cache` to learn on: without and with unknown objects.
        val_paths: Those to look at now and then.
        out: Folder of the whole run; this one's is `comparator/` or `direct/` in it.
        mark: What the files depend on, JSON-able: another one than last time starts anew.
        options: `"resume"` and `"progress"`, both bool.
    """
    folder = out / ("comparator" if resynthesis else "direct")
    resume = options["resume"] and goes_on(folder, [recipe.model_dump(exclude=_LENGTHS), mark])
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        folder,
        recipe.max_steps,
        seed=recipe.seed,
        val_every_steps=recipe.val_every_steps,
        precision=recipe.precision,
        callbacks=[average],
        progress=options["progress"],
    )
    make = CachedMaker(train_paths[0], recipe, train_paths[1])
    module = ComparatorModule(recipe, classes, resynthesis, make, val_paths)
    trainer.fit(module, ckpt_path=last_checkpoint(folder, resume))
    trainer.validate(module, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    write_json(folder / "metrics.json", metrics, indent=1)
    module.network.load_state_dict({**module.network.state_dict(), **average.ema_state_dict()})
    return module.network.cpu().eval().requires_grad_(False)
