"""Loading without a collector and without random starts changes nothing but its time."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from oodseg import S2M
from oodseg.core.starting import collector_paused, weights_left_unset


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()
    gc.unfreeze()


def test_the_collector_pauses_within_the_block_alone() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_goes_on_after_an_error() -> None:
    with pytest.raises(KeyError), collector_paused():
        raise KeyError
    assert gc.isenabled()


def test_what_was_made_meanwhile_is_collected_later() -> None:
    class Node:
        alive = 0

        def __init__(self) -> None:
            self.me = self
            Node.alive += 1

        def __del__(self) -> None:
            Node.alive -= 1

    with collector_paused():
        for _ in range(10):
            Node()
        assert Node.alive == 10
    gc.collect()
    assert Node.alive == 0


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with collector_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_what_a_program_froze_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with collector_paused():
        pass
    assert gc.get_freeze_count() == frozen > 0


def test_no_random_numbers_are_drawn_for_weights_within_the_block() -> None:
    torch.manual_seed(0)
    with weights_left_unset():
        layer = nn.Conv2d(3, 8, 3)
        nn.init.normal_(layer.weight)
        nn.init.normal_(tensor=layer.weight)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))
    assert layer.weight.shape == (8, 3, 3, 3)
    assert layer.weight.requires_grad


def test_constant_starts_are_kept_within_the_block() -> None:
    with weights_left_unset():
        norm = nn.BatchNorm2d(4)
        bias = nn.init.constant_(torch.empty(3), -2.0)
    assert norm.weight.tolist() == [1.0] * 4
    assert norm.running_var is not None
    assert norm.running_var.tolist() == [1.0] * 4
    assert bias.tolist() == [-2.0] * 3


def test_random_numbers_are_drawn_again_after_it() -> None:
    with weights_left_unset():
        nn.Linear(2, 2)
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    assert not torch.equal(first.weight, second.weight)


def test_a_loaded_pipeline_holds_the_same_weights_every_time() -> None:
    torch.manual_seed(1)
    first = S2M.from_pretrained("street", "cpu")
    torch.manual_seed(2)
    second = S2M.from_pretrained("street", "cpu")
    for part in ("detector", "prompts", "masks"):
        one, other = getattr(first, part).state_dict(), getattr(second, part).state_dict()
        assert list(one) == list(other)
        for key, value in one.items():
            assert torch.equal(value, other[key]), key
            assert torch.isfinite(value.float()).all(), key
