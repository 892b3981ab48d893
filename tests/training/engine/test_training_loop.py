import logging
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from oodseg.training.engine.loop import run_training, usable_precision
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe

RECIPE = LoopRecipe(max_steps=4, batch_size=2, warmup_steps=0, workers=0, precision="32-true", seed=5)


def sample(number):
    return torch.tensor([float(number), 1.0])


class Line(TrainingModule):
    """Learns a line; remembers which numbers it saw."""

    def __init__(self, recipe=RECIPE):
        super().__init__(recipe, nn.Linear(2, 1), sample)
        self.seen = []

    def training_step(self, batch, batch_index):
        self.seen += batch[:, 0].int().tolist()
        return self.network(batch).square().mean()

    def validation_step(self, batch, batch_index):
        self.log("val/weight", self.network.weight.abs().sum(), batch_size=1)

    def val_dataloader(self):
        return DataLoader([0.0])


def run(out, recipe=RECIPE, **options):
    made = []

    def make():
        made.append(Line(recipe))
        return made[0]

    return run_training(recipe, make, out, **options), made[0]


def test_the_network_comes_out_averaged_frozen_and_validated(tmp_path):
    recipe = RECIPE.model_copy(update={"val_every_steps": 2})
    done, module = run(tmp_path / "run", recipe)
    assert module.seen == list(range(8))
    assert not done.network.training
    assert not any(each.requires_grad for each in done.network.parameters())
    # Validated are the weights that come out.
    assert done.validation == pytest.approx({"val/weight": float(done.network.weight.abs().sum())})
    live = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]["network.weight"]
    assert not torch.equal(live, done.network.weight)
    assert (tmp_path / "run" / "curve" / "version_0" / "metrics.csv").is_file()
    assert not list((tmp_path / "run").glob("*.unfinished"))
    assert done.hours > 0


def test_without_averaging_and_validation_the_trained_weights_come_out(tmp_path):
    done, _ = run(tmp_path, RECIPE.model_copy(update={"ema_decay": None}))
    live = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]["network.weight"]
    assert torch.equal(live, done.network.weight)
    assert done.validation == {}


def test_weights_depend_on_the_seed_alone(tmp_path):
    torch.manual_seed(77)
    first, _ = run(tmp_path / "first")
    second, _ = run(tmp_path / "second")
    other, _ = run(tmp_path / "other", RECIPE.reseeded(1))
    assert torch.equal(first.network.weight, second.network.weight)
    assert not torch.equal(first.network.weight, other.network.weight)


def test_a_training_goes_on_where_it_stopped_unless_it_shall_not(tmp_path):
    straight, _ = run(tmp_path / "straight")
    run(tmp_path / "parts", RECIPE.model_copy(update={"max_steps": 2, "decay_fraction": 1e-9}))
    fresh, module = run(tmp_path / "parts", resume=False)
    assert module.seen == list(range(8))
    assert torch.equal(fresh.network.weight, straight.network.weight)
    _, module = run(tmp_path / "parts", RECIPE.model_copy(update={"max_steps": 6}))
    assert module.seen == list(range(8, 12))


def test_progress_is_told_every_step(tmp_path):
    told = []
    run(tmp_path / "mine", progress=lambda *each: told.append(each))
    assert told == [("training mine", step, 4) for step in range(1, 5)]


@pytest.mark.parametrize(("fast", "wanted"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_used_where_the_machine_computes_it(monkeypatch, fast, wanted):
    module = sys.modules[usable_precision.__module__]
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda device: fast)
    assert usable_precision("bf16-mixed") == wanted
    assert usable_precision("32-true") == "32-true"


def test_lightning_says_nothing_of_itself(tmp_path, recwarn):
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = log.level
    log.addHandler(handler)
    try:
        for steps in (1, 2):
            run(tmp_path, RECIPE.model_copy(update={"max_steps": steps, "val_every_steps": 1}))
    finally:
        log.removeHandler(handler)
    assert not said
    assert log.level == before
    assert not [each for each in recwarn if "lightning" in each.filename]
