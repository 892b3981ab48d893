import argparse
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from oodseg.core.errors import WeightsError
from oodseg.core.input_warnings import collect_warnings
from oodseg.nn.checkpoints import read_state_dict, wrapper_prefix

STATE = {"layer.weight": torch.arange(6.0).view(2, 3)}


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        OrderedDict(STATE),
        {"model": STATE, "epoch": 3},
        {"state_dict": STATE, "mean_iu": np.float64(0.8), "best": np.float32(0.1), "step": np.int64(3)},
        {"model": {"model_state": STATE}},
        {"state_dict": {"model": STATE}},
        {"net": STATE, "epoch": 3},
        {"module": STATE, "global_steps": 3},  # DeepSpeed
        {**STATE, "_extra_state": None},
        {"state_dict": STATE, "args": argparse.Namespace(lr=0.1, name="run")},
        {f"module.{name}": each for name, each in STATE.items()},
        {"model": {f"module._orig_mod.{name}": each for name, each in STATE.items()}},
        {"state_dict": {f"model.{name}": each for name, each in STATE.items()}},
    ],
)
def test_wrapped_by_a_training_script(tmp_path, wrapped):
    torch.save(wrapped, tmp_path / "file.pth")
    found = read_state_dict(tmp_path / "file.pth")
    assert list(found) == ["layer.weight"]
    torch.testing.assert_close(found["layer.weight"], STATE["layer.weight"])


def test_the_name_that_another_numpy_has_for_its_scalars(tmp_path):
    names = (b"numpy._core.multiarray", b"numpy.core.multiarray")  # since numpy 2, and before
    torch.save({"model": STATE, "mean_iu": np.float64(0.8)}, tmp_path / "own.pth")
    with zipfile.ZipFile(tmp_path / "own.pth") as own, zipfile.ZipFile(tmp_path / "other.pth", "w") as other:
        for name in own.namelist():
            content = own.read(name)
            if name.endswith("data.pkl"):
                here, there = names if names[0] in content else names[::-1]
                assert here in content
                content = content.replace(here, there)
            other.writestr(name, content)
    assert list(read_state_dict(tmp_path / "other.pth")) == ["layer.weight"]


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "file.safetensors")
    torch.testing.assert_close(read_state_dict(tmp_path / "file.safetensors"), STATE)
    save_file({f"_orig_mod.{name}": each for name, each in STATE.items()}, tmp_path / "file.safetensors")
    torch.testing.assert_close(read_state_dict(tmp_path / "file.safetensors"), STATE)


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["module.a", "module.b"], "module."),
        (["module.a", "b"], ""),
        (["_orig_mod.module.a"], "_orig_mod.module."),
        (["modules.a"], ""),
        ([], ""),
    ],
)
def test_prefixes_of_wrappers(names, prefix):
    assert wrapper_prefix(names) == prefix


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"model": Evil()}, r"hold more than tensors \((builtins.)?print\), which is never executed: save"),
        (torch.nn.Linear(1, 1), r"hold more than tensors \(torch.nn.modules.linear.Linear\)"),
        ([1, 2], "is not a state dict"),
        ({"model": {"layer": "text"}}, "is not a state dict"),
    ],
)
def test_what_is_no_state_dict(tmp_path, content, fault):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=fault):
        read_state_dict(tmp_path / "file.pth")


def test_what_is_no_file(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state_dict(tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all\n", b"PK\x03\x04 broken", b"\x00" * 20])
def test_what_is_damaged_is_one_short_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        WeightsError, match=f"{name} are damaged, or are none.*: fetch the file again"
    ) as found:
        read_state_dict(tmp_path / name)
    assert "weights_only" not in str(found.value)
    assert "\n" not in str(found.value)


def test_without_permission(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.pth").write_bytes(b"anything")
    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(WeightsError, match=r"a.pth cannot be read \(Permission denied\): check"):
        read_state_dict(tmp_path / "a.pth")


def test_a_training_that_diverged(tmp_path):
    state = {"count": torch.tensor(3), "a.weight": torch.zeros(2), "b.weight": torch.tensor([1.0, torch.nan])}
    torch.save({"model_state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"a.pth hold NaN \(first in b.weight\).*: take an earlier"):
        read_state_dict(tmp_path / "a.pth")


def test_what_stands_beside_the_network_in_a_module_of_a_training_is_left_out(tmp_path):
    named = {f"model.{name}": each for name, each in STATE.items()}
    torch.save({"state_dict": {**named, "criterion.weight": torch.ones(3)}}, tmp_path / "a.ckpt")
    assert list(read_state_dict(tmp_path / "a.ckpt")) == list(STATE)
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(1, 1))
    torch.save(averaged.state_dict(), tmp_path / "b.ckpt")
    assert set(read_state_dict(tmp_path / "b.ckpt")) == {"weight", "bias"}
    own = {**STATE, "criterion.weight": torch.ones(3)}
    torch.save(own, tmp_path / "c.ckpt")
    assert set(read_state_dict(tmp_path / "c.ckpt")) == set(own), "without a wrapper it may be the network's"


@pytest.mark.parametrize("key", ["model_ema", "ema_state_dict", "state_dict_ema", "swa"])
def test_an_averaged_copy_is_said_to_be_there(tmp_path, key):
    torch.save({"model": STATE, key: STATE, "schema": {}}, tmp_path / "a.pth")
    with collect_warnings(forward=False) as warned:
        read_state_dict(tmp_path / "a.pth")
    assert len(warned) == 1
    assert f"a.pth holds an averaged copy of the weights, too ({key})" in warned[0]


@pytest.mark.parametrize("name", ["a.pth", "a.bin", "a.safetensors", "a.SAFETENSORS"])
def test_files_are_told_by_what_they_hold(tmp_path, name):
    save_file(STATE, tmp_path / name)
    torch.testing.assert_close(read_state_dict(tmp_path / name), STATE)
    torch.save(STATE, tmp_path / name)
    torch.testing.assert_close(read_state_dict(tmp_path / name), STATE)


def test_weights_in_several_files(tmp_path):
    save_file(STATE, tmp_path / "1.safetensors")
    torch.save({"other": torch.ones(2)}, tmp_path / "2.bin")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"layer.weight": "1.safetensors", "other": "2.bin"}}')
    assert set(read_state_dict(index)) == {*STATE, "other"}
    (tmp_path / "2.bin").unlink()
    with pytest.raises(WeightsError, match=r"index\.json names 2\.bin, which is not beside it: fetch"):
        read_state_dict(index)
    index.write_text("[]")
    with pytest.raises(WeightsError, match=r"index\.json is no index of weights"):
        read_state_dict(index)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_few_bits(tmp_path, dtype):
    torch.save({"a": torch.ones(3, dtype=dtype)}, tmp_path / "a.pth")
    assert read_state_dict(tmp_path / "a.pth")["a"].dtype == dtype


@pytest.mark.filterwarnings("ignore")
def test_what_stands_for_weights_or_is_more_than_weights(tmp_path):
    (tmp_path / "a.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tmp_path / "b.pth").write_text("<!DOCTYPE html><html>Quota exceeded")
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "c.pth")
    torch.save({"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "d.pth")
    words = {"a": "git lfs pull", "b": "is a web page", "c": "is a TorchScript program", "d": "are quantised"}
    for name, each in words.items():
        with pytest.raises(WeightsError, match=each):
            read_state_dict(tmp_path / f"{name}.pth")
