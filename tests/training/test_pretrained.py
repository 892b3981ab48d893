import pytest
import torch
from torch import nn

from oodseg.nn.encoders import build_encoder
from oodseg.training.pretrained import depthwise_in_float32, freeze, parameter_groups


@pytest.mark.parametrize("stages", [0, 1, 3])
def test_stem_and_first_stages_are_frozen_and_nothing_else(stages) -> None:
    encoder = build_encoder("test_efficientnet")
    freeze(encoder, stages)
    blocks = list(encoder.blocks.children())
    assert len(blocks) > 3
    for index, block in enumerate(blocks):
        learns = {each.requires_grad for each in block.parameters()}
        assert learns == {index >= stages}
    stem = [each for name, each in encoder.named_parameters() if not name.startswith("blocks.")]
    assert {each.requires_grad for each in stem} == {stages == 0}


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)


def test_groups_are_by_rate_and_decay() -> None:
    network = Small()
    groups = parameter_groups(network, network.encoder, 0.01, 0.1)
    found = {id(each): group for group in groups for each in group["params"]}
    assert len(found) == sum(1 for _ in network.parameters()) == 6
    kinds = {
        network.encoder[0].weight: (0.001, True),
        network.encoder[0].bias: (0.001, False),
        network.encoder[1].weight: (0.001, False),
        network.encoder[1].bias: (0.001, False),
        network.head.weight: (0.01, True),
        network.head.bias: (0.01, False),
    }
    for parameter, (rate, decays) in kinds.items():
        group = found[id(parameter)]
        assert group["lr"] == pytest.approx(rate)
        assert group.get("weight_decay", "the optimiser's") == ("the optimiser's" if decays else 0.0)


def test_decay_of_everything_leaves_two_groups() -> None:
    network = Small()
    groups = parameter_groups(network, network.encoder, 0.01, 0.1, decay_all=True)
    assert sorted((group["lr"], len(group["params"])) for group in groups) == [(0.001, 4), (0.01, 2)]
    assert not any("weight_decay" in group for group in groups)


def test_without_an_encoder_there_is_one_rate_and_what_is_frozen_is_left_out() -> None:
    network = Small()
    network.encoder.requires_grad_(False)
    groups = parameter_groups(network, None, 0.01, 0.1)
    assert {group["lr"] for group in groups} == {0.01}
    assert {id(each) for group in groups for each in group["params"]} == {
        id(each) for each in network.head.parameters()
    }
    torch.optim.AdamW(groups)


def test_depthwise_convolutions_run_in_float32_where_they_learn() -> None:
    network = Small()
    depthwise, plain = network.encoder[0], network.head
    before = depthwise(torch.ones(1, 4, 8, 8))
    depthwise_in_float32(network)
    x = torch.ones(1, 4, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, other = depthwise(x), plain(x)
    assert (out.dtype, other.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(out, before)
    out.sum().backward()
    assert depthwise.weight.grad.dtype == torch.float32
    frozen = Small()
    frozen.encoder.requires_grad_(False)
    depthwise_in_float32(frozen)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert frozen.encoder[0](x).dtype == torch.bfloat16
