"""Teaches a comparator to tell unknown objects from everything else that a segmentation gets wrong.

A comparator learns where predictions are wrong, and most of what is wrong lies along the borders of known
things. The branch trained here looks at the same features, frozen, and learns on outlier-exposure scenes
which of these are unknown objects. All other outputs of the comparator stay unchanged.

1. `features/`: scenes as the failure detector sees them, made once.
2. `unknown.safetensors`: the comparator with the branch.
3. `detector/`: the failure detector with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.files import atomic_path
from oodseg.core.fingerprint import hash_part
from oodseg.core.progress import Progress, track
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.comparator import Comparator, new_unknown_branch
from oodseg.failures.detector import full_logits, msp_log_odds
from oodseg.failures.storage import load_failure_detector, save_failure_detector
from oodseg.failures.synthcp import SynthCP, at_its_size
from oodseg.io.images import to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.synth.scenes import SceneSampler
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe, load_recipe
from oodseg.training.engine.resumption import goes_on
from oodseg.training.engine.trained import Trained, save_trained
from oodseg.training.failure_calibration import anomaly_statistics
from oodseg.training.labelled import load_label_set
from oodseg.training.scene_mix import MixRecipe

Sample = tuple[Tensor, Tensor]
_PLANES = ("features", "unknown", "doubt", "error")


class UnknownRecipe(LoopRecipe):
    """All settings of a training of the branch.

    Attributes:
        size: Height and width of the scenes.
        scenes, val_scenes: Number of scenes to learn on and to measure on.
        ordinary_images: Images without unknown objects for the statistics of the scores.
        mix: Composition of the scenes.
    """

    size: tuple[int, int] = (288, 384)
    scenes: int = Field(default=1200, ge=1)
    val_scenes: int = Field(default=160, ge=1)
    ordinary_images: int = Field(default=200, ge=1)
    mix: MixRecipe = MixRecipe()
    max_steps: int = Field(default=3000, ge=1)
    decay_fraction: float = Field(default=0.6, ge=0, le=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    val_every_steps: None = None


def write_features(
    detector: SynthCP,
    sampler: SceneSampler,
    count: int,
    folder: Path,
    seed: int,
    progress: Progress | None = None,
) -> list[Path]:
    """Shows scenes to a failure detector, one file each; what is there already stays.

    A file holds, at half the comparator's size: its joined features (float16), the codes of
    `Scene.unknown`, and the probabilities of being wrong by MSP and by the comparator (float16).
    """
    paths = [folder / f"{index:06d}.npz" for index in range(count)]
    missing = [(index, path) for index, path in enumerate(paths) if not path.is_file()]
    for index, path in track(missing, f"features in {folder.name}", progress):
        scene = sampler.sample(np.random.default_rng((seed, index)))
        planes = _planes(detector, scene.image, scene.unknown)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **planes)
    return paths


@torch.inference_mode()
def _planes(detector: SynthCP, image: NDArray[np.uint8], unknown: NDArray[np.uint8]) -> dict[str, Any]:
    images = to_tensor(image)[None]
    logits = full_logits(detector.segmenter.segment(images), image.shape[:2])
    made = detector.resynthesize(logits.argmax(1))
    seen = at_its_size(detector.comparator, images, logits, made)
    features = detector.comparator.joined_features(*seen)
    error = detector.comparator(*seen)[0].sigmoid()
    size = features.shape[-2:]
    doubt = F.interpolate(msp_log_odds(logits).sigmoid()[:, None], size, mode="area")[0, 0]
    codes = F.interpolate(torch.from_numpy(unknown)[None, None].float(), size, mode="nearest-exact")[0, 0]
    return {
        "features": features[0].half().numpy(),
        "unknown": codes.byte().numpy(),
        "doubt": doubt.half().numpy(),
        "error": error[0].half().numpy(),
    }


class _Samples:
    """Features and truth by number, mirrored half the time."""

    def __init__(self, paths: Sequence[Path], seed: int) -> None:
        self.paths, self.seed = paths, seed

    def __call__(self, number: int) -> Sample:
        rng = np.random.default_rng((self.seed, number))
        with np.load(self.paths[int(rng.integers(len(self.paths)))], allow_pickle=False) as file:
            features, unknown = file["features"], file["unknown"]
        if rng.random() < 0.5:
            features, unknown = features[..., ::-1].copy(), unknown[..., ::-1].copy()
        return torch.from_numpy(features), torch.from_numpy(unknown)


def unknown_loss(logits: Tensor, unknown: Tensor) -> Tensor:
    """Computes the binary cross-entropy of unknown against everything else.

    Args:
        logits: Float `[B, h, w]`.
        unknown: uint8 `[B, h, w]`: 0, index of an unknown object, or 255, which does not count.
    """
    judged = unknown != IGNORE
    target = ((unknown > 0) & judged).float()
    sums = F.binary_cross_entropy_with_logits(logits, target, judged.float(), reduction="sum")
    return sums / judged.sum().clamp_min(1)


class _BranchModule(TrainingModule):
    def __init__(self, recipe: UnknownRecipe, comparator: Comparator, paths: Sequence[Path]) -> None:
        fused = comparator.fused
        branch = new_unknown_branch(fused * len(comparator.widths), 2 * fused)
        super().__init__(recipe, branch, _Samples(paths, recipe.seed))

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        loss = unknown_loss(self.network(batch[0].float())[:, 0], batch[1])
        self.log("train/loss", loss.detach())
        return loss


@torch.inference_mode()
def validate(branch: torch.nn.Module, paths: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Computes AuPRC and FPR95 of unknown objects on scenes, by the branch and by what was there before it.

    Args:
        branch: In evaluation mode.
        paths: Files of `write_features`.

    Returns:
        By score: `"msp"`, `"comparison"` (MSP times the probability of being wrong), `"unknown"` (MSP times
        the branch) and `"branch"` alone; each with `"auprc"` and `"fpr95"`.
    """
    scores: dict[str, list[NDArray[np.float32]]] = {}
    labels = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            planes = {name: file[name] for name in _PLANES}
        told = branch(torch.from_numpy(planes["features"])[None].float())[0, 0].sigmoid().numpy()
        doubt, error = planes["doubt"].astype(np.float32), planes["error"].astype(np.float32)
        found = {"msp": doubt, "comparison": doubt * error, "unknown": doubt * told, "branch": told}
        for name, score in found.items():
            scores.setdefault(name, []).append(score.ravel())
        codes = planes["unknown"]
        labels.append(np.where((codes > 0) & (codes < IGNORE), 1, codes).astype(np.uint8).ravel())
    truth = np.concatenate(labels)
    figures = {name: pixel_metrics(np.concatenate(each), truth) for name, each in scores.items()}
    return {name: {"auprc": each.auprc, "fpr95": each.fpr95} for name, each in figures.items()}


def train(
    recipe: UnknownRecipe | str | Path,
    data_root: Path,
    out: Path,
    failures: str | Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Trained:
    """Trains the branch and saves the failure detector with it.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run; see the head of this module.
        failures: A `synthcp` failure detector: bundled name or folder.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoint.
        progress: Told after every step and scene.

    Returns:
        Its path is `out/detector`, for `load_failure_detector`.

    Raises:
        ConfigError: A recipe that cannot be used, or a failure detector of another kind.
        DatasetError: Missing data.
    """
    settings = load_recipe(recipe, UnknownRecipe)
    detector = load_failure_detector(failures)
    if not isinstance(detector, SynthCP):
        raise ConfigError(
            f"the failure detector {failures} is not a synthcp: only its comparator can be trained for this"
        )
    comparator = detector.comparator
    depends = [
        settings.model_dump(include={"seed", "size", "mix"}),
        [hash_part(each) for each in (detector.segmenter, detector.generator, comparator)],
    ]
    if not goes_on(out, depends):
        resume = False
        for old in out.glob("features/*/*.npz"):
            old.unlink()
    paths = {}
    for split, count, offset in (("train", settings.scenes, 0), ("val", settings.val_scenes, 1_000_003)):
        folder = out / "features" / split
        folder.mkdir(parents=True, exist_ok=True)
        sampler = SceneSampler(data_root, settings.size, split, settings.seed, settings.mix.made())
        seed = settings.seed + offset
        paths[split] = write_features(detector, sampler, count, folder, seed, progress)

    def module() -> _BranchModule:
        return _BranchModule(settings, comparator, paths["train"])

    done = run_training(settings, module, out, resume, progress)
    detector.comparator = taught(comparator, done.network)
    ordinary = load_label_set("street", data_root).val
    every = -(-len(ordinary) // settings.ordinary_images)
    statistics = anomaly_statistics(detector, ordinary[::every], progress)
    save_failure_detector(detector, out / "detector", {"anomaly_statistics": statistics})
    validation = validate(done.network, paths["val"])
    saved = save_trained(out, "unknown", detector.comparator, settings, validation, hours=done.hours)
    return Trained(out / "detector", saved.metrics)


def taught(comparator: Comparator, branch: torch.nn.Module) -> Comparator:
    """Computes the comparator with another branch for unknown objects; everything else as it was."""
    found = Comparator(**{**comparator.config, "unknown": True})
    weights = {f"unknown.{name}": value for name, value in branch.state_dict().items()}
    found.load_state_dict({**comparator.state_dict(), **weights})
    return found.eval().requires_grad_(False)
