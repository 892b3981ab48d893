from contextlib import nullcontext

import pytest
import torch

from oodseg.core import devices
from oodseg.core.devices import (
    at_precision,
    check_precision,
    choose_device,
    device_errors,
    fast_autocast,
    full_precision,
    half_autocast,
    has_fast_bfloat16,
)
from oodseg.core.errors import ConfigError, DeviceError, ImageError
from oodseg.detectors.logit import LogitDetector


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_what_there_is():
    assert choose_device() == choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", "cuda"),
        ("cuda", "cuda"),
        ("cuda:1", "cuda:1"),
        ("1", "cuda:1"),
        (0, "cuda:0"),
        (" CPU ", "cpu"),
        (torch.device("cuda", 1), "cuda:1"),
    ],
)
def test_devices_are_named_as_in_torch_or_by_number(two_gpus, name, expected):
    assert choose_device(name) == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "-1", "cpu:3", "", "0,1", "auto:0"])
def test_other_words_are_no_devices(two_gpus, name):
    with pytest.raises(ConfigError, match=r"there is no device '.*': choose auto, cpu, cuda, the number"):
        choose_device(name)


def test_a_gpu_too_many_is_said(two_gpus, monkeypatch):
    with pytest.raises(ConfigError, match="finds no cuda:2 here, but cuda:0 to cuda:1"):
        choose_device(2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="finds no cuda:1 here, but cuda:0 alone"):
        choose_device("cuda:1")


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name in ("cuda", 0, "cuda:1"):
        with pytest.raises(ConfigError, match="no CUDA device here: use --device cpu"):
            choose_device(name)


@pytest.mark.parametrize("there", [True, False])
def test_apple_gpus(monkeypatch, there):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: there)
    if there:
        assert choose_device("mps") == "mps"
    else:
        with pytest.raises(ConfigError, match=r"no Apple GPU \(mps\) here"):
            choose_device("mps")


def test_autocast_computes_the_same_to_bfloat16_precision():
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 16, 16)
    with torch.inference_mode(), fast_autocast(torch.device("cpu")):
        fast = layer(x).float()
    torch.testing.assert_close(fast, layer(x).detach(), atol=2e-2, rtol=2e-2)


def test_old_gpus_have_no_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: (kind, dtype))
    gpu = torch.device("cuda")
    assert not has_fast_bfloat16(gpu)
    assert not has_fast_bfloat16(torch.device("mps"))
    assert isinstance(fast_autocast(gpu), nullcontext)
    with at_precision("half"):
        assert fast_autocast(gpu) == half_autocast(gpu) == ("cuda", torch.float16)


def test_precision_of_the_block_around_holds_unless_another_is_asked_for(monkeypatch):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    cpu = torch.device("cpu")

    def casts():
        return isinstance(fast_autocast(cpu), torch.autocast), isinstance(half_autocast(cpu), torch.autocast)

    with at_precision("auto"), full_precision():
        with at_precision("auto"):
            assert casts() == (False, False)
        with at_precision("half"):
            assert casts() == (True, True)
        assert casts() == (False, False)


def test_half_precision_is_for_devices_that_are_fast_at_it(monkeypatch):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: False)
    with pytest.raises(ConfigError, match="this CPU is slower in half precision than in full"):
        check_precision("half", "cpu")
    assert check_precision("half", "cuda:0") == "half"
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    assert check_precision("half", "cpu") == "half"
    with pytest.raises(ConfigError, match="one of auto, full, half, not 'fp16'"):
        check_precision("fp16", "cpu")


def test_half_precision_reaches_networks_of_ones_own_and_comes_back_as_float32():
    network, seen = torch.nn.Conv2d(3, 4, 1), []

    def watched(images):
        seen.append(network(images))
        return seen[-1]

    detector, images = LogitDetector(watched, "energy"), torch.rand(1, 3, 16, 16)
    exact = detector.score(images)
    with at_precision("half"):
        half = detector.score(images)
    assert [each.dtype for each in seen] == [torch.float32, torch.bfloat16]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize(
    ("device", "said", "error", "sentence"),
    [
        ("cuda:1", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), ImageError,
         "a.jpg does not fit into the memory of cuda:1: choose a smaller --size or --batch, or --device cpu"),
        ("cpu", RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), ImageError,
         "a.jpg does not fit into the memory of cpu: choose a smaller --size or --batch"),
        ("mps", NotImplementedError("The operator 'x' is not implemented for the MPS device."),
         DeviceError, "mps lacks an operation .* set PYTORCH_ENABLE_MPS_FALLBACK=1"),
        ("mps", TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't"),
         DeviceError, "mps lacks an operation"),
        ("cuda", RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore"),
         DeviceError, r"cuda is of a kind that this torch was not built for \(CUDA error: no .*device\): "),
        ("cuda", RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
         DeviceError, "driver that is too old for this torch.* update it"),
        ("cuda", AssertionError("Torch not compiled with CUDA enabled"), DeviceError, "not to be had here"),
        ("cuda", RuntimeError("CUDA error: device-side assert triggered"), DeviceError, "cuda failed"),
    ],
)  # fmt: skip
def test_what_torch_says_of_a_device_becomes_one_sentence(device, said, error, sentence):
    with pytest.raises(error, match=sentence) as raised, device_errors(device, "a.jpg"):
        raise said
    assert "\n" not in str(raised.value)


def test_a_model_that_is_too_large_is_no_fault_of_an_image():
    said = torch.OutOfMemoryError("CUDA out of memory.")
    with (
        pytest.raises(
            DeviceError, match="'sam' does not fit into the memory of cuda: choose a smaller model"
        ),
        device_errors("cuda", "the part 'sam'", model=True),
    ):
        raise said


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_faults_of_a_program_stay_what_they_are(device):
    with pytest.raises(RuntimeError, match="shape mismatch"), device_errors(device):
        raise RuntimeError("shape mismatch")
