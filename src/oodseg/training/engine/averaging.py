"""Averages weights over the steps of a training.

Lightning's `WeightAveraging` does not fit: it copies the whole module, discriminators and all, and averages
every buffer, spectral norm's singular vectors and the counters of batch norm among them.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from oodseg.training.engine.module import TrainingModule


class Ema(Callback):  # type: ignore[misc]
    """Exponential moving average of a network's floating-point weights and batch-norm statistics.

    Validation runs on the averaged weights, as what is kept; checkpoints hold both.

    Args:
        decay: Weight of the past, 0..1; while fewer steps have passed it is `(1 + n) / (10 + n)`.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._steps = 0
        self._shadow: dict[str, Tensor] = {}
        self._live: dict[str, Tensor] | None = None
        self._last_global_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: TrainingModule) -> None:
        """Starts from the network's weights, or goes on from the checkpoint's average."""
        live = _averaged(pl_module.network)
        if not self._shadow:
            self._shadow = {name: value.detach().clone() for name, value in live.items()}
        self._shadow = {name: self._shadow[name].to(value.device) for name, value in live.items()}
        self._last_global_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: TrainingModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the average, once per optimiser step."""
        if trainer.global_step == self._last_global_step:
            return
        self._last_global_step = trainer.global_step
        self._steps += 1
        weight = 1.0 - min(self.decay, (1 + self._steps) / (10 + self._steps))
        live = _averaged(pl_module.network)
        torch._foreach_lerp_([self._shadow[name] for name in live], list(live.values()), weight)

    @torch.no_grad()
    def on_validation_start(self, trainer: Trainer, pl_module: TrainingModule) -> None:
        """Puts the averaged weights into the network."""
        if self._live is None:
            live = _averaged(pl_module.network)
            self._live = {name: value.detach().clone() for name, value in live.items()}
            self.merge_into(pl_module.network)

    @torch.no_grad()
    def on_validation_end(self, trainer: Trainer, pl_module: TrainingModule) -> None:
        """Puts the trained weights back."""
        if self._live is not None:
            for name, value in _averaged(pl_module.network).items():
                value.copy_(self._live[name])
            self._live = None

    @torch.no_grad()
    def merge_into(self, network: nn.Module) -> None:
        """Puts the averaged weights into a network; what is not averaged stays."""
        for name, value in _averaged(network).items():
            value.copy_(self._shadow[name])

    def state_dict(self) -> dict[str, Any]:
        """Returns what the checkpoint keeps."""
        return {"steps": self._steps, "shadow": self._shadow}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what the checkpoint kept."""
        self._steps = state_dict["steps"]
        self._shadow = state_dict["shadow"]


def _averaged(network: nn.Module) -> dict[str, Tensor]:
    """The tensors that are averaged, by name: those that share memory with the network's."""
    # The mean of unit vectors is none: spectral norm's singular vectors stay the live ones.
    return {
        name: value
        for name, value in network.state_dict().items()
        if value.is_floating_point() and not name.endswith(("._u", "._v"))
    }
