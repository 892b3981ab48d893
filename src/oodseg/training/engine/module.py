"""The contract of a training: a network with its samples and its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader

from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.engine.schedule import adamw, scheduled
from oodseg.training.engine.stream import Share, stream_loader


class TrainingModule(LightningModule):  # type: ignore[misc]
    """A network as `run_training` trains it; the loss is `training_step` of the subclass.

    Args:
        recipe: The settings.
        network: What is trained, averaged and kept.
        make: Number (0, 1, ...) to training sample.
        collate: Makes a batch of a list of samples; None to stack their tensors.
    """

    def __init__(
        self,
        recipe: LoopRecipe,
        network: nn.Module,
        make: Callable[[int], Any],
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.network = recipe, network
        self._make, self._collate = make, collate
        # Lightning keeps the mode it finds.
        self.network.train()

    @property
    def share(self) -> Share:
        """Returns the share of every batch that this process gets."""
        return Share(self.trainer.global_rank, self.trainer.world_size)

    def log(self, name: str, value: Any, *args: Any, **options: Any) -> None:
        """Logs a figure, as Lightning does; of several processes, the mean."""
        together = self._trainer is not None and self._trainer.world_size > 1
        super().log(name, value, *args, **(options | {"sync_dist": together}))

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless samples, going on from the step that a resumed training has reached."""
        size = self.recipe.batch_size
        start = self.trainer.global_step * size
        return stream_loader(self._make, size, start, self.recipe.workers, self._collate, self.share)

    def configure_optimizers(self) -> Any:
        """Makes AdamW on the whole network."""
        return scheduled(adamw(self.network, self.recipe), self.recipe)
