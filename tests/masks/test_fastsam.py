import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from oodseg.core.build import build
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import describe
from oodseg.masks.fastsam import FastSamSegmenter

pytest.importorskip("onnxruntime")

# Centre x and y, width, height in an input of 64 x 64, confidence, weights of the three prototypes.
PLACES = (
    (32, 32, 64, 32, 0.9, 1, -1, 0),  # all of the image: what is more red than green
    (16, 24, 16, 8, 0.8, 0, -1, 1),  # a part of it: what is more blue than green
    (17, 24, 16, 8, 0.3, 1, 1, 1),
    *[(0,) * 8] * 81,  # cells of grids of 8 x 8, 4 x 4 and 2 x 2
)


def export(path, side=64, places=PLACES, stride=4, half=False):
    """A graph with the outputs of FastSAM's: fixed places, and as prototypes the image at a quarter."""
    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    fixed = np.array(places, dtype).T[None].copy()
    cell = [stride, stride]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["output1"], kernel_shape=cell, strides=cell),
        helper.make_node("Identity", ["places"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", kind, [1, 3, side, side])],
        [
            helper.make_tensor_value_info("output0", kind, list(fixed.shape)),
            helper.make_tensor_value_info("output1", kind, [1, 3, "h", "w"]),
        ],
        [numpy_helper.from_array(fixed, "places")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def image():
    """32 x 64 pixels: red on the left, green on the right, blue in a corner of the red."""
    image = torch.zeros(3, 32, 64)
    image[0, :, :40] = 1
    image[1, :, 40:] = 1
    image[2, 4:12, 8:24] = 0.5
    return image


@pytest.mark.parametrize("half", [False, True])
def test_instances_of_an_image(tmp_path, image, half):
    segmenter = build("masks", f"fastsam:{export(tmp_path / 'net.onnx', half=half)}")
    embedding = segmenter.embed(image)
    assert len(embedding.instances) == 2  # the third is not confident enough
    red, blue = segmenter.segment(embedding, torch.tensor([[0.0, 0.0, 42.0, 32.0], [9.0, 5.0, 22.0, 13.0]]))
    right_red, right_blue = image[0] == 1, image[2] == 0.5
    # Prototypes have cells of 4 pixels, so that an edge may be off by two.
    assert int((red != right_red).sum()) <= 2 * 32
    assert int((blue != right_blue).sum()) <= 2 * 2 * (8 + 16)
    assert red[:, :38].all()
    again = build("masks", describe(segmenter))
    assert torch.equal(again.segment(again.embed(image), torch.tensor([[0.0, 0.0, 42.0, 32.0]]))[0], red)


def test_least_confidence(tmp_path, image):
    path = export(tmp_path / "net.onnx")
    assert len(FastSamSegmenter(path, confidence=0.85).embed(image).instances) == 1
    assert len(FastSamSegmenter(path, confidence=0.2).embed(image).instances) == 3


@pytest.mark.parametrize(("match", "columns"), [("boxes", 64), ("pixels", 16)])
def test_the_box_prompt_of_the_paper_and_of_its_code(tmp_path, match, columns):
    """A thin L has few pixels in its own box; a solid instance inside has more."""
    image = torch.zeros(3, 32, 64)
    image[0, :, :4] = 1
    image[0, 28:] = 1
    image[2, 4:12, 8:24] = 1
    segmenter = FastSamSegmenter(export(tmp_path / "net.onnx"), match=match)
    found = segmenter.segment(segmenter.embed(image), torch.tensor([[0.0, 0.0, 40.0, 24.0]]))[0]
    reached = torch.nonzero(found.any(0)).flatten()
    assert abs(int(reached.max() - reached.min()) + 1 - columns) <= 2


def test_open_sides_take_the_size(tmp_path, image):
    path = export(tmp_path / "net.onnx", side="side")
    assert FastSamSegmenter(path, size=64).embed(image).instances
    with pytest.raises(ConfigError, match="multiple of 32, not 50"):
        FastSamSegmenter(path, size=50)


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        FastSamSegmenter(str(tmp_path / "none.onnx"))
    path = export(tmp_path / "eighth.onnx", stride=8)
    with pytest.raises(ConfigError, match=r"\[1, 8, 84\] and \[1, 3, 8, 8\] at 64 x 64, which is not a YOLO"):
        FastSamSegmenter(path)
    path = export(tmp_path / "raw.onnx", places=[(*each[:4], each[4] - 3, *each[5:]) for each in PLACES])
    with pytest.raises(ConfigError, match=r"raw\.onnx gives confidences from -3 to -2\.1, which are no prob"):
        FastSamSegmenter(path)
    path = export(tmp_path / "net.onnx")
    with pytest.raises(ConfigError, match="lie between 0 and 1"):
        FastSamSegmenter(path, confidence=40)
    with pytest.raises(ConfigError, match="match must be one of pixels and boxes, not 'best'"):
        FastSamSegmenter(path, match="best")
