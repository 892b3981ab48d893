import json

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from oodseg import CallableSegmenter
from oodseg.runs.validation_ranking import RankValidationImages

CLASSES = ("dark", "bright")


class Learner(LightningModule):
    """Says with more certainty what is dark and what is bright, step by step."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout(0.1))
        nn.init.constant_(self.network[0].weight[0], -1.0)
        nn.init.constant_(self.network[0].weight[1], 1.0)
        self.network[0].bias.data = torch.tensor([1.5, -1.5])
        self.modes = []

    def training_step(self, batch, index):
        self.modes.append(self.network.training)
        return self.network(batch).square().mean()

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def images():
    """An image that is plainly dark or bright everywhere, and one that is neither."""
    plain = np.zeros((32, 32, 3), np.uint8)
    plain[:16] = 255
    return [("plain", plain), ("grey", np.full((32, 32, 3), 120, np.uint8))]


def train(tmp_path, validations=2, **options):
    ranking = RankValidationImages(
        images(), lambda module: CallableSegmenter(module.network, CLASSES), tmp_path, **options
    )
    module = Learner()
    trainer = Trainer(
        max_epochs=validations, callbacks=[ranking], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    batches = DataLoader(torch.rand(2, 3, 8, 8))
    trainer.fit(module, batches, batches)
    return ranking, module, trainer


def test_every_validation_leaves_a_ranking(tmp_path):
    ranking, module, trainer = train(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["step_000002", "step_000004"]
    found = json.loads((tmp_path / "step_000004" / "failures.json").read_text())
    assert [each["file_name"] for each in found["images"]] == ["grey", "plain"]
    assert (tmp_path / "step_000004" / "index.html").is_file()
    means = [each.record.mean for each in ranking.last.listed.entries]
    assert float(trainer.callback_metrics["failures/lowest"]) == pytest.approx(min(means), abs=1e-4)
    assert float(trainer.callback_metrics["failures/estimated_mean"]) == pytest.approx(
        np.mean(means), abs=1e-4
    )
    assert module.modes == [True] * 4, "the training goes on as one"
    assert all(each.requires_grad for each in module.parameters())


def test_not_every_validation_need_be_ranked(tmp_path):
    ranking, _, _ = train(tmp_path, validations=3, every=2)
    assert [each.name for each in tmp_path.iterdir()] == ["step_000004"]
    assert ranking.last.images == 2
    with pytest.raises(ValueError, match="from 1, not 0"):
        train(tmp_path, every=0)
