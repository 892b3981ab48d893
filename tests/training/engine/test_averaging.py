import pytest
from torch import nn

from oodseg.training.engine.averaging import Ema


class FakeTrainer:
    global_step = 0


class FakeModule:
    def __init__(self):
        self.network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.head = nn.Linear(1, 1)


def merged(ema, network):
    """The weights that come out, in a network that is not the trained one."""
    ema.merge_into(network)
    return network.state_dict()


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
    module.network[1].num_batches_tracked.fill_(9)
    found = merged(ema, FakeModule().network)
    assert float(found["0.weight"]) == pytest.approx(expected, rel=1e-5)
    assert found["1.num_batches_tracked"] == 0, "counters are no averages"
    ema.on_validation_start(trainer, module)
    assert weight.item() == pytest.approx(expected, rel=1e-5)
    ema.on_validation_end(trainer, module)
    assert weight.item() == 7.0
    resumed = Ema(decay=0.5)
    resumed.load_state_dict(ema.state_dict())
    resumed.on_fit_start(trainer, module)
    assert float(merged(resumed, FakeModule().network)["0.weight"]) == pytest.approx(expected, rel=1e-5)


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
