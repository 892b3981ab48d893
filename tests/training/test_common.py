import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import safe_open
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.training.common import (
    Ema,
    last_checkpoint,
    load_recipe,
    make_trainer,
    save_weights,
    stream_loader,
    warmup_constant_decay,
)


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = 3
    rate: float = 0.1


def test_a_recipe_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps: 7\n")
    assert load_recipe(path, Recipe) == Recipe(steps=7)
    path.write_text("")
    assert load_recipe(path, Recipe) == Recipe()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steps: [1", "no valid YAML"),
        ("stepps: 1\n", r"stepps: Extra inputs"),
        ("steps: many\n", r"steps: .*integer"),
        ("- 1\n", "the file: "),
    ],
)
def test_a_faulty_recipe_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path, Recipe)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_lists_the_shipped_ones():
    with pytest.raises(ConfigError, match=r"no recipe 'nothing'.*masks"):
        load_recipe("nothing", Recipe)


def test_the_learning_rate_rises_stays_and_falls():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = warmup_constant_decay(optimizer, warmup=3, total=10, decay_fraction=0.4)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2, 2, 2, 2, 1.5, 1, 0.5, 0])


class FakeTrainer:
    global_step = 0


class FakeModule:
    def __init__(self):
        self.network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.head = nn.Linear(1, 1)


def test_the_average_follows_its_formula_and_swaps_in_and_out():
    module, trainer, ema = FakeModule(), FakeTrainer(), Ema(decay=0.5)
    weight = module.network[0].weight
    weight.data.fill_(0.0)
    ema.on_fit_start(trainer, module)
    expected = 0.0
    for step, value in enumerate((1.0, 4.0, -2.0, 8.0, 8.0, 8.0, 3.0, 1.0, 5.0, 7.0), start=1):
        trainer.global_step = step
        weight.data.fill_(value)
        for _ in range(2):  # a second batch of the same step, as gradients accumulate, counts once
            ema.on_train_batch_end(trainer, module, None, None, 0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(ema.ema_state_dict()["0.weight"]) == pytest.approx(expected, rel=1e-5)
    assert set(ema.ema_state_dict()) == {"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"}
    ema.on_validation_start(trainer, module)
    assert weight.item() == pytest.approx(expected, rel=1e-5)
    ema.on_validation_end(trainer, module)
    assert weight.item() == 7.0
    resumed = Ema(decay=0.5)
    resumed.load_state_dict(ema.state_dict())
    resumed.on_fit_start(trainer, module)
    assert float(resumed.ema_state_dict()["0.weight"]) == pytest.approx(expected, rel=1e-5)


def test_singular_vectors_stay_unit_vectors():
    module, trainer, ema = FakeModule(), FakeTrainer(), Ema(decay=0.9)
    module.network = nn.utils.parametrizations.spectral_norm(nn.Linear(12, 12, bias=False))
    norm = module.network.parametrizations.weight[0]
    ema.on_fit_start(trainer, module)
    for step in range(1, 20):
        trainer.global_step = step
        norm._u.neg_()  # as good a singular vector as the other
        ema.on_train_batch_end(trainer, module, None, None, 0)
    ema.on_validation_start(trainer, module)
    assert float(norm._u.norm()) == pytest.approx(1.0)
    assert set(ema.ema_state_dict()) == {"parametrizations.weight.original"}


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_is_the_same_with_any_number_of_workers(workers):
    loader = iter(stream_loader(lambda index: index, batch_size=3, start=6, workers=workers))
    batches = [next(loader).tolist() for _ in range(5)]
    assert np.concatenate(batches).tolist() == list(range(6, 21))


def test_weights_are_written_in_half_precision_and_whole(tmp_path):
    path = tmp_path / "part.safetensors"
    state = {"weight": torch.tensor([[1.0, 2.5]]).t(), "steps": torch.tensor(70_000)}
    save_weights(state, path, {"part": "mine"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"part": "mine"}
        assert file.get_tensor("weight").dtype == torch.float16
        assert file.get_tensor("weight").flatten().tolist() == [1.0, 2.5]
        assert file.get_tensor("steps") == 70_000
    assert [each.name for each in tmp_path.iterdir()] == ["part.safetensors"]


def test_the_last_checkpoint(tmp_path):
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "last.ckpt").touch()
    assert last_checkpoint(tmp_path) == str(tmp_path / "last.ckpt")
    assert last_checkpoint(tmp_path, resume=False) is None


@pytest.mark.parametrize(("fast", "wanted"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_used_where_the_machine_computes_it(tmp_path, monkeypatch, fast, wanted) -> None:
    monkeypatch.setattr("oodseg.training.common.has_fast_bfloat16", lambda device: fast)
    assert make_trainer(tmp_path, 1, precision="bf16-mixed", progress=False).precision == wanted
