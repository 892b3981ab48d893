import pytest
import torch

from oodseg.core.devices import choose_device, fast_autocast
from oodseg.core.errors import ConfigError


def test_auto_is_what_there_is():
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


def test_autocast_computes_the_same_to_bfloat16_precision():
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 16, 16)
    with torch.inference_mode(), fast_autocast(torch.device("cpu")):
        fast = layer(x).float()
    torch.testing.assert_close(fast, layer(x).detach(), atol=2e-2, rtol=2e-2)


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device here: use --device cpu"):
        choose_device("cuda")
