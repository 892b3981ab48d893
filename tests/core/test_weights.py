"""Weights as they lie in files."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load

from oodseg.core.errors import ConfigError
from oodseg.core.weights import pack, to_safetensors, unpack

STATE = {
    "conv.weight": torch.randn(48, 24, 3, 3, generator=torch.Generator().manual_seed(1)),
    "norm.weight": torch.linspace(0.5, 2, 48),
    "norm.running_var": torch.linspace(1e-9, 1e5, 48),
    "count": torch.tensor(7),
}


def test_sixteen_bits_are_float16_but_for_what_is_to_stay_exact():
    packed = pack(STATE, exact={"norm.running_var"})
    assert {name: each.dtype for name, each in packed.items()} == {
        "conv.weight": torch.float16,
        "norm.weight": torch.float16,
        "norm.running_var": torch.float32,
        "count": torch.int64,
    }
    state = unpack(packed)
    assert set(state) == set(STATE)
    assert torch.equal(state["norm.running_var"], STATE["norm.running_var"])
    torch.testing.assert_close(state["conv.weight"], STATE["conv.weight"], rtol=1e-3, atol=1e-6)


def test_eight_bits_agree_with_torchs_own_quantisation_a_channel():
    weight = STATE["conv.weight"]
    packed = pack(STATE, bits=8)
    scale = packed["conv.weight.scale"]
    zero = torch.zeros(48, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)
    assert packed["conv.weight"].dtype == torch.int8
    assert torch.equal(unpack(packed)["conv.weight"], theirs)


def test_small_tensors_and_vectors_keep_sixteen_bits():
    packed = pack({**STATE, "head.weight": torch.ones(1, 24, 1, 1)}, bits=8)
    assert packed["norm.weight"].dtype == packed["head.weight"].dtype == torch.float16
    assert "norm.weight.scale" not in packed


@given(st.integers(1, 5), st.floats(1e-6, 1e4), st.integers(0, 2**31))
def test_eight_bits_are_off_by_at_most_half_a_step_in_every_channel(channels, size, seed):
    weight = size * torch.randn(channels, 1024, generator=torch.Generator().manual_seed(seed))
    again = unpack(pack({"weight": weight}, bits=8))["weight"]
    step = weight.abs().amax(1, keepdim=True) / 127
    assert ((again - weight).abs() <= 0.5001 * step).all()


def test_a_channel_of_zeros_stays_zero():
    weight = torch.cat([torch.zeros(1, 2048), torch.ones(1, 2048)])
    assert torch.allclose(unpack(pack({"w": weight}, bits=8))["w"], weight)


def test_eight_bit_numbers_without_a_scale_and_scales_of_others_are_left_alone():
    tensors = {"codes": torch.zeros(3, dtype=torch.int8), "gain.scale": torch.ones(2), "gain": torch.ones(2)}
    assert {name: each.dtype for name, each in unpack(tensors).items()} == {
        "codes": torch.int8, "gain.scale": torch.float32, "gain": torch.float32
    }  # fmt: skip


def test_other_bits_are_refused():
    with pytest.raises(ConfigError, match="16 or 8 bits, not in 4"):
        pack(STATE, bits=4)


def test_the_same_weights_are_the_same_bytes():
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(3, dtype=torch.float16)}
    notes = {name: f"ü {name}" for name in "zyxwvut"}
    written = {
        to_safetensors(tensors, dict(sorted(notes.items(), reverse=turn % 2 == 0))) for turn in range(8)
    }
    assert len(written) == 1
    data = written.pop()
    read = load(data)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], each) for name, each in tensors.items())
    assert int.from_bytes(data[:8], "little") % 8 == 0


def test_notes_of_the_header_are_read_back(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(to_safetensors({"a": torch.zeros(2)}, {"part": "masks", "name": "größe"}))
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"part": "masks", "name": "größe"}
