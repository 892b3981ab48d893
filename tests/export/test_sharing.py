import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from oodseg.export.sharing import share_weights  # noqa: E402

COMMON, OWN, TINY = (
    np.random.default_rng(seed).normal(size=(32, 32)).astype(np.float32) for seed in range(3)
)


def write(path, *weights):
    """A file that multiplies by matrices one after the other."""
    names = [f"w{index}" for index in range(len(weights))]
    steps = ["image", *(f"x{index}" for index in range(len(weights)))]
    nodes = [
        helper.make_node("MatMul", [steps[index], name], [steps[index + 1]])
        for index, name in enumerate(names)
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 32])
    found = helper.make_tensor_value_info(steps[-1], TensorProto.FLOAT, [1, weights[-1].shape[1]])
    initial = [numpy_helper.from_array(each, name) for each, name in zip(weights, names, strict=True)]
    graph = helper.make_graph(nodes, "net", [given], [found], initial)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def run(path):
    return onnxruntime.InferenceSession(str(path)).run(None, {"image": np.ones((1, 32), np.float32)})[0]


def test_shared_weights_are_kept_once(tmp_path):
    files = [
        write(tmp_path / "a.onnx", COMMON, OWN),
        write(tmp_path / "b.onnx", OWN[:, :8].copy() @ np.ones((8, 32), np.float32), COMMON, COMMON),
        write(tmp_path / "c.onnx", TINY),
    ]
    before, sizes = [run(each) for each in files], [each.stat().st_size for each in files]
    assert share_weights(files, tmp_path / "weights.bin")
    assert (tmp_path / "weights.bin").stat().st_size == COMMON.nbytes
    for path, expected in zip(files, before, strict=True):
        assert np.array_equal(run(path), expected)
    smaller = [each.stat().st_size < size for each, size in zip(files, sizes, strict=True)]
    assert smaller == [True, True, False]


def test_nothing_is_written_where_nothing_is_shared(tmp_path):
    files = [write(tmp_path / "a.onnx", COMMON), write(tmp_path / "b.onnx", OWN)]
    # Small ones are not worth it.
    small = [write(tmp_path / f"{name}.onnx", COMMON[:, :4].copy()) for name in "cd"]
    assert not share_weights([*files, *small], tmp_path / "weights.bin")
    assert not (tmp_path / "weights.bin").exists()
