"""Trains a detector on outliers around any segmenter."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import hash_part
from oodseg.core.parts import Segmenter, describe
from oodseg.core.progress import Progress
from oodseg.core.taxonomy import CLASSES
from oodseg.nn.taught import TaughtDetector
from oodseg.segmenters.own import CallableSegmenter
from oodseg.training.engine.loop import Outcome, run_training
from oodseg.training.engine.recipe import MACHINE, load_recipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import Trained, load_trained, save_trained
from oodseg.training.exposure.method import Method
from oodseg.training.exposure.methods import method_of
from oodseg.training.exposure.module import ExposureModule, look
from oodseg.training.exposure.recipe import ExposureRecipe
from oodseg.training.ordinary import fit_to_streets
from oodseg.training.segmenter_samples import BatchMaker

_PREPARED_ON = 4  # batches
# Not the scenes' own settings nor the loss, but how long it takes.
_LENGTH = frozenset({"max_steps", "workers", "checkpoint_minutes"})


def teach(
    name: str,
    recipe: ExposureRecipe | str | Path | None,
    data_root: Path,
    out: Path,
    segmenter: Segmenter,
    resume: bool = True,
    progress: Progress | None = None,
) -> tuple[TaughtDetector[Any], Outcome, ExposureRecipe]:
    """Trains a detector; for a segmenter of one's own, which no file can name, too.

    Args:
        name: Of the method, in `METHODS`.
        recipe: The settings, or a recipe's name or file; None for the method's own.
        data_root: Folder of the training data.
        out: Folder of the run: checkpoint, `curve/`.
        segmenter: Stays as it is; its parameters are frozen.
        resume: Go on from the last checkpoint, if it is of the same settings and segmenter.
        progress: Told after every step.

    Returns:
        The detector, with the statistics of its score; what the training ended with; the settings as used.

    Raises:
        ConfigError: No such method, a recipe that cannot be used, a segmenter that does not give what the
            method needs.
        DatasetError: Missing data.
    """
    kind = method_of(name)
    settings = load_recipe(recipe or f"detector_{name}", kind.recipe_class)
    method: Method[Any] = kind(settings)
    _check(settings, segmenter)
    detector = method.new_detector(segmenter)
    depends = settings.model_dump(mode="json", exclude={*_LENGTH, *MACHINE})
    # A network of one's own has no description: that it is the same one is up to its owner.
    own = isinstance(segmenter, CallableSegmenter)
    network = segmenter.network if isinstance(segmenter, CallableSegmenter) else segmenter
    if isinstance(network, nn.Module):
        network.requires_grad_(False)  # gradients pass through it, but none is kept for it
    resume = goes_on(out, [name, depends, segmenter.name if own else hash_part(segmenter)]) and resume
    train_make, val_make = (
        BatchMaker(
            data_root, settings.sizes, settings.batch_size, split, (settings.seed, seed), settings.mix.made()
        )
        for split, seed in (("train", settings.seed), ("val", settings.seed + 1_000_003))
    )
    val_batches = [val_make(index) for index in range(-(-settings.val_scenes // settings.batch_size))]
    method.prepare(look(detector, batch, settings) for batch in islice(val_batches, _PREPARED_ON))

    def module() -> ExposureModule:
        # Anew, so that its weights come after the seed.
        detector.head = method.new_detector(segmenter).head
        return ExposureModule(method, detector, train_make, val_batches)

    done = run_training(method.recipe, module, out, resume, progress)
    detector.head = done.network.head
    detector = detector.to("cpu").eval().requires_grad_(False)
    fit_to_streets(detector, data_root)
    return detector, done, method.recipe


def train(
    name: str,
    recipe: ExposureRecipe | str | Path | None,
    data_root: Path,
    out: Path,
    segmenter: Segmenter,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains a detector and saves it; takes what `teach` takes.

    Returns:
        Its path is `out/detector.safetensors`; `metrics.json` lies beside it. Weights of a segmenter that
        belongs to somebody else are not copied, only named.

    Raises:
        ConfigError: See `teach`; or a segmenter that no file can name.
        DatasetError: Missing data.
    """
    describe(segmenter)  # before hours are spent on what cannot be saved
    detector, done, used = teach(name, recipe, data_root, out, segmenter, resume, progress)
    buffers = {each for each, _ in detector.named_buffers()}
    return save_trained(
        out, "detector", detector, used, done.validation, exact=buffers, hours=done.hours, method=name
    )


def segmenter_of(text: str) -> Segmenter:
    """Finds the segmenter that a word names: a part, or the folder of a finished training of one.

    Raises:
        ConfigError: There is no such part.
        WeightsError: Its weights are missing or damaged.
    """
    if Path(text).is_dir():
        found: Segmenter = load_trained(Path(text), "segmenter")
        return found
    return build_segmenter(text)


def _check(recipe: ExposureRecipe, segmenter: Segmenter) -> None:
    if recipe.targets == "labels" and tuple(segmenter.classes) != CLASSES:
        raise ConfigError(
            f"the scenes' labels are of the {len(CLASSES)} classes {', '.join(CLASSES)}, the segmenter "
            f"'{segmenter.name}' has {len(segmenter.classes)}: set `targets` to network or auto"
        )
