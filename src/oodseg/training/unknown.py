"""Teaches a comparator to tell unknown objects from everything else that a segmentation gets wrong.

A comparator learns where predictions are wrong, and most of what is wrong lies along the borders of known
things. The branch trained here looks at the same features, frozen, and learns on outlier-exposure scenes
which of these are unknown objects. All other outputs of the comparator stay unchanged.

1. `features/`: scenes as the failure detector sees them, made once.
2. `branch/`: the training.
3. `detector/`: the failure detector with the branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from oodseg.core.errors import ConfigError
from oodseg.core.files import atomic_path, write_json
from oodseg.core.fingerprint import hash_part
from oodseg.core.taxonomy import IGNORE
from oodseg.failures.comparator import Comparator, new_unknown_branch
from oodseg.failures.detector import full_logits, msp_log_odds
from oodseg.failures.storage import load_failure_detector, save_failure_detector
from oodseg.failures.synthcp import SynthCP, at_its_size
from oodseg.io.images import to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.synth.scenes import SceneSampler
from oodseg.training.common import Ema, adamw, last_checkpoint, load_recipe, make_trainer, stream_loader
from oodseg.training.comparator import anomaly_statistics
from oodseg.training.comparator_segmenter import goes_on
from oodseg.training.labelled import load_label_set
from oodseg.training.segmenter import MixRecipe

Sample = tuple[Tensor, Tensor]
_PLANES = ("features", "unknown", "doubt", "error")


class UnknownRecipe(BaseModel):
    """All settings of a training of the branch."""

    model_config = ConfigDict(extra="forbid")
    seed: int = 0
    size: tuple[int, int] = (288, 384)
    scenes: int = Field(default=1200, ge=1)
    val_scenes: int = Field(default=160, ge=1)
    max_steps: int = Field(default=3000, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    decay_fraction: float = Field(default=0.6, ge=0, le=1)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    workers: int = Field(default=1, ge=0)
    ordinary_images: int = Field(default=200, ge=1)
    mix: MixRecipe = MixRecipe()


def write_features(
    detector: SynthCP, sampler: SceneSampler, count: int, folder: Path, seed: int, progress: bool = True
) -> list[Path]:
    """Shows scenes to a failure detector, one file each; what is there already stays.

    A file holds, at half the comparator's size: its joined features (float16), the codes of
    `Scene.unknown`, and the probabilities of being wrong by MSP and by the comparator (float16).
    """
    paths = [folder / f"{index:06d}.npz" for index in range(count)]
    missing = [(index, path) for index, path in enumerate(paths) if not path.is_file()]
    for index, path in track(missing, f"features in {folder.name}", disable=not progress):
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
    """Binary cross-entropy of unknown against everything else.

    Args:
        logits: Float `[B, h, w]`.
        unknown: uint8 `[B, h, w]`: 0, index of an unknown object, or 255, which does not count.
    """
    judged = unknown != IGNORE
    target = ((unknown > 0) & judged).float()
    sums = F.binary_cross_entropy_with_logits(logits, target, judged.float(), reduction="sum")
    return sums / judged.sum().clamp_min(1)


class _BranchModule(LightningModule):  # type: ignore[misc]
    def __init__(self, recipe: UnknownRecipe, comparator: Comparator, paths: Sequence[Path]) -> None:
        super().__init__()
        self.recipe, self._paths = recipe, paths
        fused = comparator.fused
        self.network = new_unknown_branch(fused * len(comparator.widths), 2 * fused)

    def training_step(self, batch: Sample, batch_index: int) -> Tensor:
        loss = unknown_loss(self.network(batch[0].float())[:, 0], batch[1])
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def train_dataloader(self) -> DataLoader[Any]:
        recipe = self.recipe
        start = self.trainer.global_step * recipe.batch_size
        return stream_loader(_Samples(self._paths, recipe.seed), recipe.batch_size, start, recipe.workers)

    def configure_optimizers(self) -> dict[str, Any]:
        return adamw(self.network, self.recipe)


@torch.inference_mode()
def validate(branch: torch.nn.Module, paths: Sequence[Path]) -> dict[str, dict[str, float]]:
    """AuPRC and FPR95 of unknown objects on scenes, by the branch and by what was there before it.

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
    progress: bool = True,
) -> Path:
    """Trains the branch and saves the failure detector with it.

    Args:
        recipe: The settings, or a recipe's name or file.
        data_root: Folder of the training data.
        out: Folder of the run; see the head of this module.
        failures: A `synthcp` failure detector: bundled name or folder.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoint.
        progress: Show progress bars.

    Returns:
        `out/detector`, for `load_failure_detector`.

    Raises:
        ConfigError: A recipe that cannot be used, or a failure detector of another kind.
        DatasetError: Missing data.
    """
    if not isinstance(recipe, UnknownRecipe):
        recipe = load_recipe(recipe, UnknownRecipe)
    detector = load_failure_detector(failures)
    if not isinstance(detector, SynthCP):
        raise ConfigError(f"the failure detector {failures} is no synthcp: only its comparator can be taught")
    depends = [
        recipe.model_dump(include={"seed", "size", "mix"}),
        [hash_part(each) for each in (detector.segmenter, detector.generator, detector.comparator)],
    ]
    if not goes_on(out, depends):
        resume = False
        for old in out.glob("features/*/*.npz"):
            old.unlink()
    paths = {}
    for split, count, offset in (("train", recipe.scenes, 0), ("val", recipe.val_scenes, 1_000_003)):
        folder = out / "features" / split
        folder.mkdir(parents=True, exist_ok=True)
        sampler = SceneSampler(data_root, recipe.size, split, recipe.seed, recipe.mix.made())
        paths[split] = write_features(detector, sampler, count, folder, recipe.seed + offset, progress)
    average = Ema(recipe.ema_decay)
    trainer = make_trainer(
        out / "branch", recipe.max_steps, seed=recipe.seed, callbacks=[average], progress=progress
    )
    module = _BranchModule(recipe, detector.comparator, paths["train"])
    trainer.fit(module, ckpt_path=last_checkpoint(out / "branch", resume))
    branch = module.network
    branch.load_state_dict({**branch.state_dict(), **average.ema_state_dict()})
    branch.cpu().eval()
    taught = Comparator(**{**detector.comparator.config, "unknown": True})
    taught.load_state_dict(
        {
            **detector.comparator.state_dict(),
            **{f"unknown.{name}": value for name, value in branch.state_dict().items()},
        }
    )
    detector.comparator = taught.eval().requires_grad_(False)
    ordinary = load_label_set("street", data_root).val
    every = -(-len(ordinary) // recipe.ordinary_images)
    statistics = anomaly_statistics(detector, ordinary[::every], progress)
    save_failure_detector(detector, out / "detector", {"anomaly_statistics": statistics})
    metrics = {"recipe": recipe.model_dump(), "validation": validate(branch, paths["val"])}
    write_json(out / "metrics.json", metrics, indent=1)
    return out / "detector"
