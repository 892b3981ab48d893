"""The learning rate's schedule and the optimiser that most trainings use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from oodseg.training.engine.recipe import LoopRecipe


def rate_factor(recipe: LoopRecipe) -> Callable[[int], float]:
    """Computes the learning rate over its plateau: linear warm-up, tenths at milestones, decay to zero."""
    decay_steps = max(1, round(recipe.max_steps * recipe.decay_fraction))

    def rise(step: int) -> float:
        if recipe.warmup_from is None:
            return (step + 1) / (recipe.warmup_steps + 1)
        first = recipe.warmup_from / recipe.learning_rate
        return first + (1 - first) * (step / recipe.warmup_steps if recipe.warmup_steps else 1.0)

    def factor(step: int) -> float:
        fall = (recipe.max_steps - step) / decay_steps
        plateau = 0.1 ** sum(step >= each for each in recipe.milestones)
        return plateau * max(0.0, min(1.0, rise(step), fall))

    return factor


def scheduled(optimizer: torch.optim.Optimizer, recipe: LoopRecipe) -> dict[str, Any]:
    """Returns what `configure_optimizers` should: the optimiser, its rates on the recipe's schedule."""
    schedule = LambdaLR(optimizer, rate_factor(recipe))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def adamw(parameters: nn.Module | list[dict[str, Any]], recipe: LoopRecipe) -> torch.optim.AdamW:
    """Makes AdamW with the recipe's rate and decay, on all of a network or on groups of parameters."""
    groups = parameters.parameters() if isinstance(parameters, nn.Module) else parameters
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
