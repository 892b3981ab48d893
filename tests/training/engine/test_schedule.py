import pytest
import torch
from torch import nn

from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.engine.schedule import adamw, rate_factor, scheduled


def factors(steps, **settings):
    return [rate_factor(LoopRecipe(**settings))(step) for step in steps]


def test_the_learning_rate_rises_stays_and_falls():
    recipe = LoopRecipe(learning_rate=2.0, warmup_steps=3, max_steps=10, decay_fraction=0.4)
    made = scheduled(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0), recipe)
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2, 2, 2, 2, 1.5, 1, 0.5, 0])
    assert made["lr_scheduler"]["interval"] == "step"


@pytest.mark.parametrize(("settings", "expected"), [
    # From a tenth of the rate to all of it in two steps.
    ({"warmup_from": 1e-4, "warmup_steps": 2}, [0.1, 0.55, 1, 1, 1, 1]),
    ({"warmup_from": 1e-4, "warmup_steps": 0}, [1, 1, 1, 1, 1, 1]),
    ({"warmup_steps": 0, "milestones": [2, 4]}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
    ({"warmup_steps": 0, "decay_fraction": 0.5}, [1, 1, 1, 1, 2 / 3, 1 / 3]),
])  # fmt: skip
def test_how_it_rises_and_falls_is_a_choice(settings, expected):
    settings = {"learning_rate": 1e-3, "max_steps": 6, "decay_fraction": 0.0, **settings}
    assert factors(range(6), **settings) == pytest.approx(expected)


def test_a_long_training_with_milestones():
    paper = {
        "learning_rate": 2.5e-3, "warmup_from": 1e-4, "warmup_steps": 1000, "milestones": [60000, 80000],
        "max_steps": 148300, "decay_fraction": 0.0,
    }  # fmt: skip
    found = factors([0, 500, 1000, 59_999, 60_000, 80_000], **paper)
    assert [2.5e-3 * each for each in found] == pytest.approx([1e-4, 1.3e-3, 2.5e-3, 2.5e-3, 2.5e-4, 2.5e-5])


def test_adamw_takes_a_network_or_groups():
    recipe = LoopRecipe(max_steps=1, learning_rate=0.5, weight_decay=0.25)
    network = nn.Linear(2, 2)
    (group,) = adamw(network, recipe).param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.5, 0.25, 2)
    groups = [{"params": [network.weight]}, {"params": [network.bias], "weight_decay": 0.0, "lr": 0.1}]
    first, second = adamw(groups, recipe).param_groups
    assert (first["lr"], first["weight_decay"]) == (0.5, 0.25)
    assert (second["lr"], second["weight_decay"]) == (0.1, 0.0)
