import pytest

from oodseg.core import runtimes
from oodseg.core.errors import ConfigError, MissingDependencyError


@pytest.fixture
def installed(monkeypatch):
    def choose(*names):
        monkeypatch.setattr(runtimes, "find_spec", lambda name: name if name in names else None)

    return choose


@pytest.mark.parametrize(
    ("names", "fastest"),
    [
        ([], "torch"),
        (["onnx"], "torch"),
        (["openvino"], "torch"),  # graphs are written with onnx
        (["onnx", "onnxruntime"], "onnxruntime"),
        (["onnx", "onnxruntime", "openvino"], "openvino"),
    ],
)
def test_auto_is_the_fastest_one_installed(installed, names, fastest, monkeypatch):
    monkeypatch.setattr(runtimes, "has_fast_bfloat16", lambda device: False)
    installed(*names)
    assert runtimes.choose_runtime("auto") == fastest
    assert runtimes.choose_runtime("auto", "cuda") == "torch"
    assert runtimes.available_runtimes()[-1] == "torch"


@pytest.mark.parametrize(("name", "fastest"), [("onnxruntime", "torch"), ("openvino", "openvino")])
def test_where_bfloat16_is_fast_torch_is_faster_than_float32(installed, name, fastest, monkeypatch):
    monkeypatch.setattr(runtimes, "has_fast_bfloat16", lambda device: True)
    installed("onnx", name)
    assert runtimes.choose_runtime("auto") == fastest


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(installed):
    installed("onnx")
    with pytest.raises(MissingDependencyError, match=r"openvino is not installed.*\[openvino\]"):
        runtimes.choose_runtime("openvino")


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="there is no runtime 'tensorrt'; choose one of: auto, torch, onnx"):
        runtimes.choose_runtime("tensorrt")


def test_other_runtimes_are_for_the_cpu():
    with pytest.raises(ConfigError, match="onnxruntime runs on the CPU here, not on cuda"):
        runtimes.choose_runtime("onnxruntime", "cuda")
