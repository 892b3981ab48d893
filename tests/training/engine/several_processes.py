"""A training that several processes can share: run as a program, Lightning starts the others."""

import csv
import sys
from pathlib import Path

import torch
from torch import nn

import oodseg.training.engine.loop as loop
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe


def sample(number):
    made = torch.Generator().manual_seed(number)
    return torch.randn(6, generator=made)


class Curve(TrainingModule):
    """Learns a sum of six numbers."""

    def __init__(self, recipe):
        super().__init__(recipe, nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)), sample)

    def training_step(self, batch, batch_index):
        loss = (self.network(batch)[:, 0] - batch.sum(1)).square().mean()
        self.log("train/loss", loss.detach())
        return loss


def train(out, devices):
    """Trains; gives back the averaged weights."""
    loop._LOG_EVERY_STEPS = 1
    recipe = LoopRecipe(
        max_steps=30,
        batch_size=8,
        warmup_steps=0,
        workers=0,
        precision="32-true",
        seed=5,
        devices=devices,
        learning_rate=0.02,
    )
    return loop.run_training(recipe, lambda: Curve(recipe), Path(out)).network


def curve(out):
    with Path(out, "curve", "version_0", "metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    network = train(sys.argv[1], 2)
    torch.save(network.state_dict(), Path(sys.argv[1], "averaged.pt"))
