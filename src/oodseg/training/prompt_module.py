"""The loss and the samples of the prompt generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from oodseg.core.devices import fast_autocast
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.training.box_quality import collect, summary
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.schedule import adamw, scheduled
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.score_augment import Map

if TYPE_CHECKING:
    from oodseg.training.score_cache import ScoreCache

Batch = tuple[list[Tensor], list[Tensor], list[list[Tensor] | None]]


class PromptSamples:
    """Makes numbered training samples from cached score maps.

    Args:
        cache: The score maps.
        recipe: Seed, augmentation, and how often which score and features are shown.
    """

    def __init__(self, cache: ScoreCache, recipe: PromptRecipe) -> None:
        self.cache, self.recipe = cache, recipe
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __call__(self, number: int) -> tuple[Map, Map, list[Map]]:
        """Score map `[H, W]`, boxes `[N, 4]` and features `[D, h, w]`; no features where they are hidden."""
        recipe = self.recipe
        epoch, place = divmod(number, len(self.cache))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.cache.order(epoch, recipe.seed)
        scene = self.cache[int(self._order[place])]
        rng = np.random.default_rng([recipe.seed, number, 1])
        others = len(scene.scores) - 1
        channel = 0 if others == 0 or rng.random() < recipe.main_share else 1 + int(rng.integers(others))
        # What lies behind the shipped score fits no other.
        hidden = not recipe.features or channel > 0 or rng.random() < recipe.hidden_share
        return recipe.augment(scene.scores[channel], scene.boxes, rng, () if hidden else scene.features)


def as_lists(samples: list[tuple[Map, Map, list[Map]]]) -> Batch:
    """Makes a batch: maps of different sizes cannot be stacked."""
    return (
        [torch.from_numpy(score) for score, _, _ in samples],
        [torch.from_numpy(boxes) for _, boxes, _ in samples],
        [[torch.from_numpy(each) for each in seen] or None for _, _, seen in samples],
    )


def _in_bfloat16(backbone: torch.nn.Module) -> None:
    """Runs the backbone in bfloat16 where that is fast; boxes do not, as 8 bits would move them by pixels."""
    forward = backbone.forward

    def reduced(x: Tensor, *features: Any) -> Any:
        with fast_autocast(x.device):
            levels = forward(x, *features)
        return type(levels)((name, level.float()) for name, level in levels.items())

    backbone.forward = reduced


class PromptModule(TrainingModule):
    """Loss, samples and optimiser of the prompt generator.

    Args:
        recipe: The settings.
        network: The generator.
        train: Score maps to learn on.
        validation: Score maps to validate on.
    """

    recipe: PromptRecipe
    network: FasterRCNNPrompts

    def __init__(
        self, recipe: PromptRecipe, network: FasterRCNNPrompts, train: ScoreCache, validation: ScoreCache
    ) -> None:
        super().__init__(recipe, network, PromptSamples(train, recipe), as_lists)
        self._validation = validation
        if recipe.precision == "bf16-mixed":
            _in_bfloat16(network.rcnn.backbone)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Computes the sum of the four losses of Faster R-CNN."""
        with torch.autocast(self.device.type, enabled=False):  # but for the backbone, which turns it on again
            losses = self.network.losses(*batch)
        total = torch.stack(list(losses.values())).sum()
        self.log("train/loss", total.detach(), batch_size=len(batch[0]))
        parts = {f"train/{name}": each.detach() for name, each in losses.items()}
        self.log_dict(parts, batch_size=len(batch[0]))
        return total

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Computes the recall and false boxes on all validation scenes at once."""
        with torch.autocast(self.device.type, enabled=False):
            values = summary(collect(self.network, self._validation), 0.5)
        self.log_dict({f"val/{name}": value for name, value in values.items()}, batch_size=1)

    def val_dataloader(self) -> DataLoader[Any]:
        """Loads one empty batch: the scenes are read from the cache."""
        return DataLoader([0], collate_fn=list)  # type: ignore[arg-type]

    def configure_optimizers(self) -> dict[str, Any]:
        """Makes AdamW or SGD; weight decay on biases and batch norm would only pull them off."""
        recipe = self.recipe
        weights = [each for each in self.network.parameters() if each.ndim > 1]
        others = [each for each in self.network.parameters() if each.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        if recipe.optimizer == "adamw":
            return scheduled(adamw(groups, recipe), recipe)
        options: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        return scheduled(torch.optim.SGD(groups, momentum=0.9, **options), recipe)
