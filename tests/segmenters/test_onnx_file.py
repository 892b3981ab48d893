import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from oodseg.core.build import build, build_segmenter
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import describe
from oodseg.segmenters.onnx_file import OnnxSegmenter

MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]


@pytest.fixture
def conv():
    return torch.nn.Conv2d(3, 4, 4, stride=4)


def export(path, conv, shape=("batch", 3, "height", "width"), argmax=False, half=False):
    """A convolution as an ONNX file, written node by node."""
    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weights = {"weight": conv.weight, "bias": conv.bias}
    initializers = [
        numpy_helper.from_array(value.detach().numpy().astype(dtype), name) for name, value in weights.items()
    ]
    nodes = [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"], strides=[4, 4])]
    out = helper.make_tensor_value_info("logits", kind, ["batch", "classes", "h", "w"])
    if argmax:
        nodes.append(helper.make_node("ArgMax", ["logits"], ["labels"], axis=1, keepdims=0))
        out = helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", "h", "w"])
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("image", kind, list(shape))], [out], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def expected(conv, images):
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
    with torch.inference_mode():
        return conv((images - mean) / std)


def test_equals_torch(tmp_path, conv):
    path = export(tmp_path / "net.onnx", conv)
    segmenter = OnnxSegmenter(str(path), MEAN, STD, classes=list("abcd"))
    images = torch.rand(2, 3, 64, 96)
    torch.testing.assert_close(segmenter.segment(images).logits, expected(conv, images), rtol=1e-4, atol=1e-4)
    assert segmenter.classes == ("a", "b", "c", "d")
    again = build("segmenters", describe(segmenter))
    torch.testing.assert_close(again.segment(images).logits, segmenter.segment(images).logits)


def test_half_precision(tmp_path, conv):
    path = export(tmp_path / "half.onnx", conv, half=True)
    images = torch.rand(1, 3, 32, 32)
    found = OnnxSegmenter(str(path), MEAN, STD).segment(images).logits
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected(conv, images), rtol=0.02, atol=0.02)


def test_fixed_size_and_batch_are_kept_to(tmp_path, conv):
    path = export(tmp_path / "fixed.onnx", conv, shape=(1, 3, 32, 64))
    segmenter = build_segmenter(f"onnx:{path}")
    assert segmenter.classes == ("class 0", "class 1", "class 2", "class 3")
    assert segmenter.segment(torch.rand(3, 3, 50, 100)).logits.shape == (3, 4, 8, 16)


def test_open_sizes_are_stretched_to_the_stride(tmp_path, conv):
    segmenter = OnnxSegmenter(str(export(tmp_path / "net.onnx", conv)), multiple=16)
    assert segmenter.segment(torch.rand(1, 3, 33, 50)).logits.shape == (1, 4, 12, 16)


def test_class_names_from_json(tmp_path, conv):
    path = export(tmp_path / "net.onnx", conv)
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"1": "b", "0": "a", "10": "d", "2": "c"}))
    assert OnnxSegmenter(str(path), classes=str(names)).classes == ("a", "b", "c", "d")
    names.write_text(json.dumps(["a", "b"]))
    with pytest.raises(ConfigError, match="4 classes but 2 names"):
        OnnxSegmenter(str(path), classes=str(names))
    names.write_text("{")
    with pytest.raises(ConfigError, match=r"names\.json cannot be read"):
        OnnxSegmenter(str(path), classes=str(names))


def test_what_is_wrong_is_said(tmp_path, conv):
    with pytest.raises(WeightsError, match="does not exist"):
        OnnxSegmenter(str(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match="not an ONNX file that can be run"):
        OnnxSegmenter(str(tmp_path / "bad.onnx"))
    (tmp_path / "bad.pth").write_bytes(b"weights")
    with pytest.raises(WeightsError, match=r"bad.pth is not an ONNX .*give what torch.onnx.export wrote"):
        OnnxSegmenter(str(tmp_path / "bad.pth"))
    with pytest.raises(ConfigError, match="without its argmax"):
        OnnxSegmenter(str(export(tmp_path / "labels.onnx", conv, argmax=True)))
    with pytest.raises(ConfigError, match="mean and std take three"):
        OnnxSegmenter(str(export(tmp_path / "net.onnx", conv)), std=[0.2, 0.0, 0.2])
    grey = torch.nn.Conv2d(1, 4, 4, stride=4)
    with pytest.raises(ConfigError, match="export a network that takes images"):
        OnnxSegmenter(str(export(tmp_path / "grey.onnx", grey, shape=(1, 1, 32, 32))))


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch, conv):
    path = export(tmp_path / "net.onnx", conv)

    def refused(self, *_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "open", refused)
    with pytest.raises(WeightsError, match=r"net.onnx cannot be opened \(Permission denied\): check its"):
        OnnxSegmenter(str(path))
