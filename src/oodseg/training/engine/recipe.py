"""Recipes: the settings of a training, with the same keys for the same thing whatever is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oodseg.core.errors import ConfigError
from oodseg.core.yaml_files import read_yaml

RecipeT = TypeVar("RecipeT", bound="Recipe")

MACHINE = frozenset({"devices", "strategy", "num_nodes"})
"""Entries that say on what it is trained: a run that goes on elsewhere is the same run."""

_FOLDER = Path(__file__).parents[1] / "recipes"


class Recipe(BaseModel):
    """Holds the settings of every training; an entry that it does not know is an error.

    Attributes:
        seed: Of weights, samples and their order. A recipe within another adds its own to the outer one's.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int = 0

    def reseeded(self, offset: int) -> Self:
        """Returns the same recipe with something added to its seed."""
        return self.model_copy(update={"seed": self.seed + offset})


class LoopRecipe(Recipe):
    """Holds the settings of a training by gradient descent, see `oodseg.training.engine.loop.run_training`.

    Attributes:
        max_steps: Optimiser steps of the whole training.
        batch_size: Samples per step.
        learning_rate: Of the constant part of the schedule (`oodseg.training.engine.schedule`).
        weight_decay: Of the optimiser.
        warmup_steps: Steps of the linear warm-up.
        warmup_from: Learning rate of the first step; None for as much as the warm-up gains at every step.
        milestones: Steps at which the learning rate falls to a tenth.
        decay_fraction: Share of the steps, at the end, over which it falls linearly to zero.
        ema_decay: Decay of the averaged weights, which are the ones that are kept; None to average nothing.
        gradient_clip: Largest gradient norm; None for no clipping.
        precision: Arithmetic of the network. `"bf16-mixed"` is `"32-true"` where the machine would only
            emulate bfloat16, which takes minutes per step.
        workers: Processes that make samples.
        val_every_steps: Steps between validations, the one at the end aside; None where there is nothing to
            validate on.
        checkpoint_minutes: Wall-clock minutes between checkpoints.
        devices: Processes on this machine that share every batch, each with a GPU of its own where there is
            one; `batch_size` stays that of all together.
        strategy: How they work together, as Lightning calls it. `"auto"` is DDP for more than one;
            `"ddp_find_unused_parameters_true"` is for networks of which some steps leave parts unused.
        num_nodes: Machines that run the same command.
    """

    max_steps: int = Field(ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    warmup_from: float | None = Field(default=None, gt=0)
    milestones: list[int] = []
    decay_fraction: float = Field(default=0.5, ge=0, le=1)
    ema_decay: float | None = Field(default=0.998, ge=0, lt=1)
    gradient_clip: float | None = Field(default=1.0, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    workers: int = Field(default=1, ge=0)
    val_every_steps: int | None = Field(default=None, ge=1)
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    devices: int = Field(default=1, ge=1)
    strategy: Literal[
        "auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false"
    ] = "auto"
    num_nodes: int = Field(default=1, ge=1)

    @property
    def processes(self) -> int:
        """Processes on all machines together."""
        return self.devices * self.num_nodes


def load_recipe(name: str | Path | RecipeT, model: type[RecipeT]) -> RecipeT:
    """Reads a training recipe.

    Args:
        name: A YAML file, or the name of a shipped recipe such as `"masks"`; a recipe is handed back.
        model: Class of the recipe.

    Raises:
        ConfigError: No such recipe, not YAML, or a key that is unknown, missing or out of range.
    """
    if isinstance(name, model):
        return name
    path = Path(str(name))
    if not path.is_file():
        path = _FOLDER / f"{name}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(each.stem for each in _FOLDER.glob("*.yaml")))
        raise ConfigError(f"there is no recipe '{name}': give a YAML file or one of: {shipped}")
    content = read_yaml(path)
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"recipe {path} cannot be used ({faults}): correct these entries") from error
