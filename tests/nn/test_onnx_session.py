"""What cannot be opened is called what it is."""

import numpy as np
import pytest

from oodseg.core.errors import WeightsError
from oodseg.nn.onnx_session import open_session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def network(opset=17, ir=8):
    weight = numpy_helper.from_array(np.ones((5, 3, 1, 1), np.float32), "weight")
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "height", "width"])
        for name, channels in (("image", 3), ("logits", 5))
    ]
    node = helper.make_node("Conv", ["image", "weight"], ["logits"])
    graph = helper.make_graph([node], "network", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def test_weights_beside_the_file_and_without_them(tmp_path):
    path = tmp_path / "a.onnx"
    onnx.save_model(network(), path, save_as_external_data=True, location="a.data", size_threshold=0)
    open_session(path)
    (tmp_path / "a.data").unlink()
    with pytest.raises(WeightsError, match=r"a\.onnx keeps its weights in a\.data, which is not beside it"):
        open_session(path)


@pytest.mark.parametrize("options", [{"opset": 99}, {"ir": 99}])
def test_versions_that_are_too_new(tmp_path, options):
    onnx.save_model(network(**options), tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"a\.onnx is of a newer version of ONNX than onnxruntime"):
        open_session(tmp_path / "a.onnx")


def test_pointers_of_git_lfs_and_what_is_cut_off(tmp_path):
    (tmp_path / "a.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(WeightsError, match="only stands for a file in Git LFS: fetch it with `git lfs pull`"):
        open_session(tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(network().SerializeToString()[:-40])
    with pytest.raises(WeightsError, match=r"b\.onnx is not an ONNX file that can be run \(Load model"):
        open_session(tmp_path / "b.onnx")
