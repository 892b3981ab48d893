import argparse
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from oodseg.core.errors import WeightsError
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


def test_numpys_former_name_of_its_scalars(tmp_path):
    torch.save({"model": STATE, "mean_iu": np.float64(0.8)}, tmp_path / "new.pth")
    with zipfile.ZipFile(tmp_path / "new.pth") as new, zipfile.ZipFile(tmp_path / "old.pth", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            assert not name.endswith("data.pkl") or b"numpy._core.multiarray" in content
            old.writestr(name, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert list(read_state_dict(tmp_path / "old.pth")) == ["layer.weight"]


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
        ({"model": Evil()}, "cannot be read"),
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
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state_dict(tmp_path / "cut.safetensors")
