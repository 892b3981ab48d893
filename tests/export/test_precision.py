from pathlib import Path

import numpy as np
import pytest

from oodseg.core.errors import ConfigError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
precision = pytest.importorskip("oodseg.export.precision")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RNG = np.random.default_rng(0)
CONV = (
    RNG.normal(size=(16, 3, 5, 5)).astype(np.float32)
    * np.geomspace(1, 100, 16, dtype=np.float32)[:, None, None, None]
)
SHARED = RNG.normal(size=(16, 16, 3, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path) -> Path:
    """Two convolutions of one weight behind another, times a number of pixels that 16 bits cannot hold."""
    nodes = [
        helper.make_node("Conv", ["image", "conv"], ["a"], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "shared"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Identity", ["shared"], ["again"]),
        helper.make_node("Conv", ["c", "again"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["image", "far"], ["place"]),
    ]
    constants = {"conv": CONV, "shared": SHARED, "far": np.array(4097, np.float32)}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("d", "place")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def run(path):
    image = np.random.default_rng(1).random((1, 3, 12, 20), np.float32)
    return onnxruntime.InferenceSession(str(path)).run(None, {"image": image})


@pytest.mark.parametrize(("kind", "share"), [("float16", 0.6), ("int8", 0.4)])
def test_smaller_graphs_compute_nearly_the_same(path, kind, share):
    (before, place), size = run(path), path.stat().st_size
    precision.lower_precision(path, kind)
    after, same_place = run(path)
    assert path.stat().st_size < share * size
    assert after.dtype == np.float32
    assert 0 < np.abs(after - before).max() < 0.02 * np.abs(before).max()
    assert np.array_equal(place, same_place)


def test_agreement():
    left, right = np.zeros((2, 4, 4), bool)
    left[:2], right[1:3] = True, True
    assert precision.agreement([left, left], [left, right]) == pytest.approx(12 / 20)
    assert precision.agreement([left & False], [left & False]) == 1


def test_other_words():
    precision.check_precision("int8")
    with pytest.raises(ConfigError, match="one of float32, float16, int8, not 'bf16'"):
        precision.check_precision("bf16")
