"""The one loop that all trainings by gradient descent go through."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from oodseg.core.devices import choose_device, has_fast_bfloat16
from oodseg.core.errors import ConfigError
from oodseg.core.progress import Progress, silent
from oodseg.training.engine.averaging import Ema
from oodseg.training.engine.checkpoint import TimedCheckpoint, check_checkpoint, ctrl_c
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe

_LOG_EVERY_STEPS = 20
_CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class Outcome:
    """Holds the result of a training.

    Attributes:
        network: With the averaged weights, on the CPU, in evaluation mode and frozen.
        validation: Figures of the validation at the end; empty where there is none.
        hours: Time that this call took.
    """

    network: Any
    validation: dict[str, float]
    hours: float


def run_training(
    recipe: LoopRecipe,
    make_module: Callable[[], TrainingModule],
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Trains a network: seeded, checkpointed to `out/last.ckpt`, its curve in `out/curve`.

    Of several processes (`recipe.devices`, `recipe.num_nodes`), which Lightning starts by running the same
    command again, the first one returns; the others end here.

    Every start and every resumption writes a `version_N/metrics.csv` of its own there, N = 0, 1, ...

    Args:
        recipe: The settings.
        make_module: Makes the network with its samples and its loss; called once, after seeding.
        out: Folder of the run; made if missing.
        resume: Go on from the last checkpoint.
        progress: Told after every step.

    Raises:
        ConfigError: A batch that cannot be split evenly over the processes, fewer GPUs than processes, or a
            checkpoint that is damaged or of another network.
        KeyboardInterrupt: Ctrl-C; says where the same training will go on.
        OodsegError: Whatever `make_module` cannot make.
        SystemExit: In processes other than the first, when the training is over.
    """
    began = time.monotonic()
    _check_processes(recipe)
    out.mkdir(parents=True, exist_ok=True)
    seed_everything(recipe.seed, workers=False, verbose=False)
    module = make_module()
    average = None if recipe.ema_decay is None else Ema(recipe.ema_decay)
    checkpoint = out / _CHECKPOINT
    kept = TimedCheckpoint(checkpoint, recipe)
    callbacks = [
        *([] if average is None else [average]),
        _Report(f"training {out.name}", recipe.max_steps, progress or silent),
        kept,
    ]
    with _quiet():
        trainer = _trainer(recipe, out, callbacks)
    if not resume and trainer.is_global_zero:
        # Other processes, started by `fit`, find none either, whatever they would make of it.
        checkpoint.unlink(missing_ok=True)
    start = checkpoint if resume and checkpoint.is_file() else None
    if start is not None:
        check_checkpoint(start, module)
    validates = recipe.val_every_steps is not None
    with _quiet(), ctrl_c(kept, recipe.max_steps):
        trainer.fit(module, ckpt_path=start, weights_only=True)
        found = trainer.validate(module, verbose=False, weights_only=True) if validates else []
    if not trainer.is_global_zero:
        raise SystemExit(0)
    network: nn.Module = module.network
    if average is not None:
        average.merge_into(network)
    validation = {name: float(value) for each in found for name, value in each.items()}
    hours = (time.monotonic() - began) / 3600
    return Outcome(network.cpu().eval().requires_grad_(False), validation, hours)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps off the terminal what Lightning says of the machine, of itself and of other products."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        log.setLevel(level)


def _trainer(recipe: LoopRecipe, out: Path, callbacks: list[Callback]) -> Trainer:
    validates = recipe.val_every_steps is not None
    return Trainer(
        accelerator="auto",
        devices=recipe.devices,
        strategy=recipe.strategy,
        num_nodes=recipe.num_nodes,
        # Streams know their share; validation is whole in every process, so that its figures are exact.
        use_distributed_sampler=False,
        max_steps=recipe.max_steps,
        max_epochs=-1,
        precision=usable_precision(recipe.precision),
        gradient_clip_val=recipe.gradient_clip,
        logger=CSVLogger(out, name="curve", flush_logs_every_n_steps=_LOG_EVERY_STEPS),
        callbacks=callbacks,
        val_check_interval=recipe.val_every_steps,
        check_val_every_n_epoch=None if validates else 1,
        limit_val_batches=1.0 if validates else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=_LOG_EVERY_STEPS,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )


def _check_processes(recipe: LoopRecipe) -> None:
    if recipe.batch_size % recipe.processes:
        raise ConfigError(
            f"a batch of {recipe.batch_size} samples cannot be split evenly over {recipe.processes} "
            "processes: choose another batch_size, or other --devices and --num-nodes"
        )
    gpus = torch.cuda.device_count()
    if 0 < gpus < recipe.devices:
        raise ConfigError(f"there are {gpus} GPUs for {recipe.devices} processes: use fewer --devices")


def usable_precision(wanted: str) -> str:
    """Returns the precision that a recipe asks for, or float32 where the machine would only emulate it."""
    emulated = wanted == "bf16-mixed" and not has_fast_bfloat16(torch.device(choose_device("auto")))
    return "32-true" if emulated else wanted


class _Report(Callback):  # type: ignore[misc]
    """Reports the steps."""

    def __init__(self, stage: str, total: int, progress: Progress) -> None:
        self._stage, self._total, self._progress = stage, total, progress

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.is_global_zero:
            self._progress(self._stage, trainer.global_step, self._total)
