"""Shared by all trainings: recipes, schedule, averaged weights, seeded sample streams, the trainer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from oodseg.core.devices import choose_device, has_fast_bfloat16
from oodseg.core.errors import ConfigError
from oodseg.core.files import write_bytes
from oodseg.core.weights import pack

RecipeT = TypeVar("RecipeT", bound=BaseModel)
SampleT = TypeVar("SampleT")

_RECIPES = Path(__file__).parent / "recipes"


def load_recipe(path_or_name: str | Path, model_cls: type[RecipeT]) -> RecipeT:
    """Reads a training recipe.

    Args:
        path_or_name: A YAML file, or the name of a shipped recipe such as `"masks"`.
        model_cls: Pydantic model of the recipe; it should forbid extra keys.

    Raises:
        ConfigError: No such recipe, not YAML, or a key that is unknown, missing or out of range.
    """
    path = Path(path_or_name)
    if not path.is_file():
        path = _RECIPES / f"{path_or_name}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(each.stem for each in _RECIPES.glob("*.yaml"))) or "none"
        raise ConfigError(f"there is no recipe '{path_or_name}': give a YAML file or one of: {shipped}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    try:
        return model_cls.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"recipe {path} cannot be used ({faults}): correct these entries") from error


def warmup_constant_decay(
    optimizer: torch.optim.Optimizer, warmup: int, total: int, decay_fraction: float
) -> LambdaLR:
    """Learning rate: linear warm-up, constant, then linear to zero over the last part.

    Args:
        optimizer: Its learning rates are the constant part's.
        warmup: Steps until the full rate; 0 starts at it.
        total: Steps of the whole training.
        decay_fraction: Share of `total`, 0..1, over which the rate falls to zero at the end.
    """
    decay_steps = max(1, round(total * decay_fraction))

    def factor(step: int) -> float:
        rise = (step + 1) / (warmup + 1)
        fall = (total - step) / decay_steps
        return max(0.0, min(1.0, rise, fall))

    return LambdaLR(optimizer, factor)


def scheduled(optimizer: torch.optim.Optimizer, recipe: Any) -> dict[str, Any]:
    """Returns what `configure_optimizers` should: the optimiser with `warmup_constant_decay` of a recipe.

    Args:
        optimizer: Its learning rates are the constant part's.
        recipe: Has `warmup_steps`, `max_steps` and `decay_fraction`.
    """
    schedule = warmup_constant_decay(optimizer, recipe.warmup_steps, recipe.max_steps, recipe.decay_fraction)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def adamw(network: nn.Module, recipe: Any) -> dict[str, Any]:
    """AdamW on all of a network, `scheduled`; the recipe has `learning_rate` and `weight_decay` too."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    return scheduled(optimizer, recipe)


class Ema(Callback):  # type: ignore[misc]
    """Exponential moving average of all floating-point weights and batch-norm statistics.

    Validation runs on the averaged weights, as what is shipped; checkpoints hold both.

    Args:
        decay: Weight of the past, 0..1; while fewer steps have passed it is `(1 + n) / (10 + n)`.
        of: Attribute of the Lightning module that holds the network; only that is averaged.
    """

    def __init__(self, decay: float = 0.999, of: str = "network") -> None:
        self.decay = decay
        self.of = of
        self._steps = 0
        self._shadow: dict[str, Tensor] = {}
        self._live: dict[str, Tensor] | None = None
        self._last_global_step = 0

    def _tensors(self, module: LightningModule) -> dict[str, Tensor]:
        network: nn.Module = getattr(module, self.of)
        state = network.state_dict(keep_vars=False)
        # The mean of unit vectors is none: spectral norm's singular vectors stay the live ones.
        return {
            name: value
            for name, value in state.items()
            if value.is_floating_point() and not name.endswith(("._u", "._v"))
        }

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts from the network's weights, or goes on from the checkpoint's average."""
        live = self._tensors(pl_module)
        if not self._shadow:
            self._shadow = {name: value.detach().clone() for name, value in live.items()}
        self._shadow = {name: self._shadow[name].to(value.device) for name, value in live.items()}
        self._last_global_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the average, once per optimiser step."""
        if trainer.global_step == self._last_global_step:
            return
        self._last_global_step = trainer.global_step
        self._steps += 1
        weight = 1.0 - min(self.decay, (1 + self._steps) / (10 + self._steps))
        live = self._tensors(pl_module)
        torch._foreach_lerp_([self._shadow[name] for name in live], list(live.values()), weight)

    @torch.no_grad()
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the averaged weights into the network."""
        if self._shadow and self._live is None:
            live = self._tensors(pl_module)
            self._live = {name: value.detach().clone() for name, value in live.items()}
            for name, value in live.items():
                value.copy_(self._shadow[name])

    @torch.no_grad()
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the trained weights back."""
        if self._live is not None:
            for name, value in self._tensors(pl_module).items():
                value.copy_(self._live[name])
            self._live = None

    def ema_state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors under the network's own names (integer buffers are left out)."""
        return {name: value.detach().clone() for name, value in self._shadow.items()}

    def state_dict(self) -> dict[str, Any]:
        """Returns what the checkpoint keeps."""
        return {"steps": self._steps, "shadow": self._shadow}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what the checkpoint kept."""
        self._steps = state_dict["steps"]
        self._shadow = state_dict["shadow"]


class SampleStream(IterableDataset[SampleT]):
    """An endless stream of samples that are each made from their number alone.

    The number is all that a sample depends on, so a training that resumes at step `s` sees the
    samples it would have seen, with any number of worker processes.

    Args:
        make: Number (0, 1, ...) to sample.
        batch_size: Samples per batch; batches are dealt to the workers in turn. None if a sample is a batch.
        start: First number; `global_step * batch_size` on resuming.
    """

    def __init__(self, make: Callable[[int], SampleT], batch_size: int | None, start: int = 0) -> None:
        self.make = make
        self.batch_size = batch_size or 1
        self.start = start

    def __iter__(self) -> Iterator[SampleT]:
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batch = first
        while True:
            for offset in range(self.batch_size):
                yield self.make(self.start + batch * self.batch_size + offset)
            batch += stride


def stream_loader(
    make: Callable[[int], SampleT],
    batch_size: int | None,
    start: int = 0,
    workers: int = 1,
    collate: Callable[[list[SampleT]], Any] | None = None,
) -> DataLoader[SampleT]:
    """Loads batches of a `SampleStream`, in worker processes where `workers` > 0."""
    return DataLoader(
        SampleStream(make, batch_size, start),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
    )


def _one_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class TimedCheckpoint(Callback):  # type: ignore[misc]
    """Keeps `last.ckpt` of a run: every few minutes and at the end, whole or not at all.

    Lightning's own saves by the clock only where it steps the optimisers itself.

    Args:
        path: The file.
        minutes: Wall-clock minutes between checkpoints.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._seconds = path, 60 * minutes
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Saves when it is time: all processes at the same step."""
        if trainer.strategy.broadcast(time.monotonic() - self._saved >= self._seconds):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the last step."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        unfinished = self._path.with_suffix(".unfinished")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            unfinished.replace(self._path)
        self._saved = time.monotonic()


def make_trainer(
    out: Path,
    max_steps: int,
    *,
    seed: int = 0,
    val_every_steps: int | None = None,
    checkpoint_minutes: float = 3.0,
    precision: str = "32-true",
    gradient_clip: float | None = 1.0,
    callbacks: list[Callback] | None = None,
    log_every_steps: int = 20,
    progress: bool = True,
) -> Trainer:
    """Builds the trainer: seeded, checkpointed to `out/last.ckpt`, its curve in `out/curve`.

    Every start and every resumption writes a `version_N/metrics.csv` of its own there, N = 0, 1, ...

    Args:
        out: Folder of the run; made if missing.
        max_steps: Optimiser steps of the whole training, resumed parts counted in.
        seed: Seeds Python, NumPy and torch.
        val_every_steps: Batches between validations; `None` for no validation.
        checkpoint_minutes: Wall-clock minutes between checkpoints.
        precision: `"32-true"` or `"bf16-mixed"`; the latter becomes the former where the machine would only
            emulate bfloat16, which takes minutes per step.
        gradient_clip: Largest gradient norm; `None` for no clipping.
        callbacks: More callbacks, such as `Ema`.
        log_every_steps: Steps between logged lines.
        progress: Show a progress bar.
    """
    out.mkdir(parents=True, exist_ok=True)
    seed_everything(seed, workers=False, verbose=False)
    if precision == "bf16-mixed" and not has_fast_bfloat16(torch.device(choose_device("auto"))):
        precision = "32-true"
    bar = [TQDMProgressBar(refresh_rate=log_every_steps)] if progress else []
    return Trainer(
        accelerator="auto",
        max_steps=max_steps,
        max_epochs=-1,
        precision=precision,
        gradient_clip_val=gradient_clip,
        logger=CSVLogger(out, name="curve", flush_logs_every_n_steps=log_every_steps),
        callbacks=[*bar, *(callbacks or []), TimedCheckpoint(out / "last.ckpt", checkpoint_minutes)],
        val_check_interval=val_every_steps,
        check_val_every_n_epoch=None if val_every_steps is not None else 1,
        limit_val_batches=0 if val_every_steps is None else 1.0,
        num_sanity_val_steps=0,
        log_every_n_steps=log_every_steps,
        enable_progress_bar=progress,
        enable_checkpointing=False,
        enable_model_summary=False,
    )


def last_checkpoint(out: Path, resume: bool = True) -> str | None:
    """The checkpoint to resume from: pass it to `Trainer.fit(ckpt_path=...)`; `None` starts anew."""
    path = out / "last.ckpt"
    return str(path) if resume and path.is_file() else None


def save_weights(state: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes weights as float16 safetensors, whole or not at all.

    Args:
        state: Tensors by name; floating ones are stored as float16, others as they are.
        path: Target file.
        metadata: Strings for the file's header.
    """
    from safetensors.torch import save

    write_bytes(path, save(pack(state), metadata=metadata))
