import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.segmenters.street import StreetNet
from oodseg.training.growth import grow

SMALL = {"widths": (4, 6, 8, 8, 8), "depths": (1, 1, 1, 1)}


def trained(**config):
    """A network whose batch statistics and affine weights are no defaults."""
    torch.manual_seed(0)
    network = StreetNet(**config)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for values in (part.weight, part.bias, part.running_mean, part.running_var):
                values.data.uniform_(0.3, 1.3)
    return network


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "larger",
    [
        SMALL,
        {"widths": (6, 9, 12, 8, 16), "depths": (1, 1, 1, 1)},
        {"widths": (4, 6, 8, 8, 8), "depths": (1, 2, 3, 2)},
        {"widths": (8, 8, 12, 16, 16), "depths": (2, 2, 1, 3)},
    ],
)
def test_a_grown_network_says_what_it_said_before(larger, training) -> None:
    small = trained(**SMALL).train(training)
    large = grow(small, StreetNet(**larger)).train(training)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        for before, after in zip(small(images), large(images), strict=True):
            torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


def test_what_is_new_can_be_learned() -> None:
    small = trained(**SMALL)
    large = grow(small, StreetNet((6, 9, 12, 16, 16), (1, 2, 1, 1)))
    optimizer = torch.optim.SGD(large.parameters(), 0.05)
    before = {name: value.clone() for name, value in large.named_parameters()}
    for _ in range(2):  # what reads new channels moves first, then the channels do
        optimizer.zero_grad()
        logits, objectness = large(torch.rand(2, 3, 64, 96))
        (logits.square().mean() + objectness.square().mean()).backward()
        optimizer.step()
    moved = {name: value - before[name] for name, value in large.named_parameters()}
    assert moved["class_head.weight"][:, 6:].abs().max() > 0
    assert moved["stem.0.0.weight"][4:].abs().max() > 0
    assert moved["stages.1.2.second.0.weight"].abs().max() > 0


@pytest.mark.parametrize(
    "other",
    [
        {**SMALL, "widths": (3, 6, 8, 8, 8)},
        {**SMALL, "depths": (1, 1, 1, 0)},
        {**SMALL, "objectness": False},
        {**SMALL, "classes": ("road", "car")},
    ],
)
def test_a_network_does_not_shrink_or_change_its_heads(other) -> None:
    with pytest.raises(ConfigError, match="cannot grow into"):
        grow(StreetNet(**SMALL), StreetNet(**other))
