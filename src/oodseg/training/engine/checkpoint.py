"""The checkpoint of a run: kept by the clock, gone on from, and what stands in the way of that."""

from __future__ import annotations

import pickle
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from oodseg.core.errors import ConfigError
from oodseg.core.input_warnings import name_few, warn_input
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import MACHINE, LoopRecipe
from oodseg.training.engine.resumption import has_settings

# What may change while a training goes on without becoming another one.
_MAY_CHANGE = MACHINE | {"max_steps", "workers", "val_every_steps", "checkpoint_minutes"}


class TimedCheckpoint(Callback):  # type: ignore[misc]
    """Keeps the checkpoint of a run: every few minutes and at the end, whole or not at all.

    Lightning's own saves by the clock only where it steps the optimisers itself.

    Args:
        path: Where it is kept.
        recipe: The settings, which are kept with it: going on with others is said in an `InputWarning`.
    """

    def __init__(self, path: Path, recipe: LoopRecipe) -> None:
        self._path, self._seconds = path, 60 * recipe.checkpoint_minutes
        self._saved = time.monotonic()
        self._settings = recipe.model_dump(mode="json", exclude=set(_MAY_CHANGE))
        self._step: int | None = None

    @property
    def step(self) -> int | None:
        """Returns the step of the checkpoint; None if there is none."""
        return self._step

    def on_train_start(self, trainer: Trainer, pl_module: TrainingModule) -> None:
        """Notes where the training goes on."""
        self._step = trainer.global_step or None

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Saves when it is time: all processes at the same step."""
        if trainer.strategy.broadcast(time.monotonic() - self._saved >= self._seconds):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: TrainingModule) -> None:
        """Saves the last step."""
        self._save(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Returns what the checkpoint keeps."""
        return {"settings": self._settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Says which settings are others than those of the checkpoint, unless `goes_on` has looked."""
        if has_settings(self._path.parent):
            return
        before = state_dict["settings"]
        changed = [
            f"{name} {before.get(name)} to {value}"
            for name, value in self._settings.items()
            if before.get(name) != value
        ]
        if changed:
            warn_input(
                f"{self._path} was made with other settings ({name_few(changed)}) and the training went on "
                "from it all the same: --no-resume, or another --out, begins anew"
            )

    def _save(self, trainer: Trainer) -> None:
        unfinished = self._path.with_suffix(".unfinished")
        trainer.save_checkpoint(unfinished, weights_only=False)
        if trainer.is_global_zero:
            unfinished.replace(self._path)
        self._saved, self._step = time.monotonic(), trainer.global_step


def check_checkpoint(path: Path, module: TrainingModule) -> None:
    """Checks that a training can go on from a checkpoint.

    Args:
        path: The checkpoint.
        module: What is trained.

    Raises:
        ConfigError: The file is damaged, or holds another network.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"{path} is not a complete checkpoint: delete it to begin anew, or choose another --out"
        ) from error
    wanted = {name: value.shape for name, value in module.state_dict().items()}
    found = {name: value.shape for name, value in kept.items()}
    if wanted != found:
        differing = [name for name in wanted | found if wanted.get(name) != found.get(name)]
        raise ConfigError(
            f"{path} holds a training of another network ({name_few(differing)}): go on with the settings "
            "that it began with, choose another --out, or begin anew with --no-resume"
        )


@contextmanager
def ctrl_c(checkpoint: TimedCheckpoint, total: int) -> Iterator[None]:
    """Lets Ctrl-C through as `KeyboardInterrupt` that says where the training will go on.

    Lightning would end the process without a word, and have it ignore Ctrl-C from then on.

    Args:
        checkpoint: That of the training.
        total: Steps of the whole training.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        where = (
            "begins anew, as there was no checkpoint yet (checkpoint_minutes says how often one is kept)"
            if checkpoint.step is None
            else f"goes on at step {checkpoint.step} of {total}, that of the last checkpoint"
        )
        raise KeyboardInterrupt(f"interrupted: the same command {where}") from None
