"""ONNX files of every convention: read rightly, or refused in words that name the option that settles it."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.parts import describe
from oodseg.detectors.logit import LogitDetector
from oodseg.segmenters.onnx_file import OnnxSegmenter

TYPES = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.float64: TensorProto.DOUBLE}
OPEN = ("batch", 3, "height", "width")
SCALE = 2.0


@pytest.fixture(scope="module")
def conv():
    torch.manual_seed(0)
    return torch.nn.Conv2d(3, 5, 4, stride=4)


def write(path, conv, shape=OPEN, before=(), after=(), outputs=("logits",), dtype=np.float32, kind=None):
    """A file around a convolution: nodes before it turn `image` into `x`, nodes after it work on `logits`."""
    weights = {"weight": conv.weight.detach().numpy(), "bias": conv.bias.detach().numpy()}
    constants = [numpy_helper.from_array(value.astype(dtype), name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.array(1 / 255, dtype), "byte"))
    constants.append(numpy_helper.from_array(np.array([1, 5, -1], np.int64), "one_batch"))
    start = "x" if before else "image"
    nodes = [
        *(helper.make_node(op, inputs, results, **options) for op, inputs, results, options in before),
        helper.make_node("Conv", [start, "weight", "bias"], ["logits"], strides=[4, 4]),
        *(helper.make_node(op, inputs, results, **options) for op, inputs, results, options in after),
    ]
    given = [helper.make_tensor_value_info("image", kind or TYPES[dtype], list(shape))]
    found = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "net", given, found, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return str(path)


def segmenter(path, **options):
    if "mean" not in options:
        options = {"mean": [0.0] * 3, "std": [1.0] * 3, **options}
    return OnnxSegmenter(path, **options)


def logits_of(conv, images):
    with torch.inference_mode():
        return conv(images)


LAST_IN = (("Transpose", ["image"], ["x"], {"perm": [0, 3, 1, 2]}),)
LAST_OUT = (("Transpose", ["logits"], ["y"], {"perm": [0, 2, 3, 1]}),)


@pytest.mark.parametrize("size", [(1, "height", "width", 3), ("b", 32, 48, 3), (1, 32, 32, 3)])
def test_channels_last_in(tmp_path, conv, size):
    found = segmenter(write(tmp_path / "net.onnx", conv, size, before=LAST_IN))
    images = torch.rand(2, 3, *(each if isinstance(each, int) else 64 for each in size[1:3]))
    torch.testing.assert_close(found.segment(images).logits, logits_of(conv, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [OPEN, (1, 3, 32, 48), (2, 3, 64, 64)])
def test_channels_last_out(tmp_path, conv, size):
    found = segmenter(write(tmp_path / "net.onnx", conv, size, after=LAST_OUT, outputs=("y",)))
    assert len(found.classes) == 5
    images = torch.rand(3, 3, *(each if isinstance(each, int) else 64 for each in size[2:]))
    torch.testing.assert_close(found.segment(images).logits, logits_of(conv, images), atol=1e-4, rtol=1e-4)
    again = build("segmenters", describe(found))
    torch.testing.assert_close(again.segment(images).logits, found.segment(images).logits)


def test_all_axes_open(tmp_path, conv):
    """Only one of the two readings runs: a convolution over three channels."""
    for name, before in (("first", ()), ("last", LAST_IN)):
        found = segmenter(write(tmp_path / f"{name}.onnx", conv, ("b", "x", "y", "z"), before=before))
        images = torch.rand(1, 3, 32, 64)
        torch.testing.assert_close(
            found.segment(images).logits, logits_of(conv, images), atol=1e-4, rtol=1e-4
        )


def test_axes_that_nothing_tells_are_asked_for(tmp_path, conv):
    mean = (("GlobalAveragePool", ["logits"], ["m"], {}), ("Sub", ["m", "logits"], ["s"], {}))
    mean += (("Mul", ["s", "byte"], ["t"], {}), ("Sub", ["m", "t"], ["y"], {}))
    five = torch.nn.Conv2d(3, 5, 4, stride=4)
    # Five classes, rows and columns, and a change anywhere is seen everywhere.
    path = write(tmp_path / "square.onnx", five, (1, 3, 20, 20), after=mean, outputs=("y",))
    with pytest.raises(ConfigError, match=r"which axis holds the classes .* `output_layout: NCHW`"):
        segmenter(path)
    images = torch.rand(1, 3, 20, 20)
    assert segmenter(path, output_layout="NCHW").segment(images).logits.shape == (1, 5, 5, 5)
    # Without the mean it shows where an image was changed.
    for layout, after in (("NCHW", (("Identity", ["logits"], ["y"], {}),)), ("NHWC", LAST_OUT)):
        told = write(tmp_path / f"{layout}.onnx", five, (1, 3, 20, 20), after=after, outputs=("y",))
        assert describe(segmenter(told))["output_layout"] == layout
        torch.testing.assert_close(
            segmenter(told).segment(images).logits, logits_of(five, images), atol=1e-4, rtol=1e-4
        )
    anything = write(
        tmp_path / "any.onnx", conv, ("b", "x", "y", "z"), before=(("Relu", ["image"], ["w"], {}),)
    )
    model = onnx.load(anything)
    model.graph.node[1].CopyFrom(helper.make_node("Relu", ["w"], ["logits"]))
    onnx.save(model, anything)
    with pytest.raises(ConfigError, match="leaves open which axis holds the colours: say `layout: NCHW`"):
        segmenter(anything)
    assert segmenter(anything, layout="NHWC", gives="logits").segment(images).logits.shape == (1, 3, 32, 32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_softmax_inside_is_seen(tmp_path, conv, dtype):
    after = (("Softmax", ["logits"], ["y"], {"axis": 1}),)
    path = write(tmp_path / "net.onnx", conv, after=after, outputs=("y",), dtype=dtype)
    images = torch.rand(1, 3, 32, 64)
    found = segmenter(path).segment(images)
    right = logits_of(conv, images).softmax(1)
    torch.testing.assert_close(found.logits.softmax(1), right, atol=3e-3, rtol=3e-3)
    assert found.relative
    for score in ("energy", "max_logit"):
        with pytest.raises(ConfigError, match=f"ends in a softmax, and {score} needs the logits before it"):
            LogitDetector(segmenter(path), score).score(images)
    msp = LogitDetector(segmenter(path), "msp").score(images)
    assert msp.shape == (1, 32, 64)
    assert not segmenter(path, gives="logits").segment(images).relative


def test_a_log_softmax_and_a_sigmoid(tmp_path, conv):
    images = torch.rand(1, 3, 32, 64)
    after = (("LogSoftmax", ["logits"], ["y"], {"axis": 1}),)
    path = write(tmp_path / "log.onnx", conv, after=after, outputs=("y",))
    assert segmenter(path).segment(images).relative
    path = write(tmp_path / "sigmoid.onnx", conv, after=(("Sigmoid", ["logits"], ["y"], {}),), outputs=("y",))
    with pytest.raises(ConfigError, match=r"do not sum to one: say `gives: sigmoid`"):
        segmenter(path)
    found = segmenter(path, gives="sigmoid").segment(images)
    torch.testing.assert_close(found.logits, logits_of(conv, images), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "after",
    [
        (("ArgMax", ["logits"], ["y"], {"axis": 1, "keepdims": 0}),),
        (("ArgMax", ["logits"], ["y"], {"axis": 1, "keepdims": 1}),),
        (
            ("ArgMax", ["logits"], ["a"], {"axis": 1, "keepdims": 0}),
            ("Cast", ["a"], ["y"], {"to": TensorProto.FLOAT}),
        ),
    ],
    ids=["argmax", "kept axis", "as float"],
)
def test_an_argmax_inside_is_refused(tmp_path, conv, after):
    path = write(tmp_path / "net.onnx", conv, after=after, outputs=("y",))
    with pytest.raises(ConfigError, match="without its argmax"):
        segmenter(path)


def test_whole_numbers_of_several_channels_are_no_logits(tmp_path, conv):
    path = write(tmp_path / "net.onnx", conv, after=(("Round", ["logits"], ["y"], {}),), outputs=("y",))
    with pytest.raises(ConfigError, match="whole numbers alone"):
        segmenter(path)


def test_one_channel_is_no_logits(tmp_path):
    path = write(tmp_path / "net.onnx", torch.nn.Conv2d(3, 1, 4, stride=4))
    with pytest.raises(ConfigError, match=r"one value per pixel .* --score-map"):
        segmenter(path)


def test_bytes_are_given_as_bytes(tmp_path, conv):
    before = (
        ("Cast", ["image"], ["f"], {"to": TensorProto.FLOAT}),
        ("Mul", ["f", "byte"], ["m"], {}),
        ("Transpose", ["m"], ["x"], {"perm": [0, 3, 1, 2]}),
    )
    path = write(tmp_path / "net.onnx", conv, (1, "h", "w", 3), before=before, kind=TensorProto.UINT8)
    images = torch.randint(0, 256, (1, 3, 32, 64)) / 255
    found = OnnxSegmenter(path)
    torch.testing.assert_close(found.segment(images).logits, logits_of(conv, images), atol=1e-4, rtol=1e-4)
    again = build("segmenters", describe(found))
    torch.testing.assert_close(again.segment(images).logits, found.segment(images).logits)
    with pytest.raises(ConfigError, match="normalises them itself: leave out `mean` and `std`"):
        OnnxSegmenter(path, mean=[0.5] * 3)


def test_other_types_of_numbers(tmp_path, conv):
    before = (("Cast", ["image"], ["x"], {"to": TensorProto.FLOAT}),)
    path = write(tmp_path / "double.onnx", conv, before=before, kind=TensorProto.DOUBLE)
    images = torch.rand(1, 3, 32, 64)
    found = segmenter(path).segment(images).logits
    torch.testing.assert_close(found, logits_of(conv, images), atol=1e-4, rtol=1e-4)
    whole = write(tmp_path / "int.onnx", conv, before=before, kind=TensorProto.INT32)
    with pytest.raises(ConfigError, match=r"takes image int32 .* as float or uint8"):
        segmenter(whole)


def test_no_axis_for_the_batch(tmp_path, conv):
    before = (("Unsqueeze", ["image", "axis"], ["x"], {}),)
    path = write(tmp_path / "net.onnx", conv, (3, "h", "w"), before=before)
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "axis"))
    model.graph.node.append(helper.make_node("Squeeze", ["logits", "axis"], ["y"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_empty_tensor_value_info("y"))
    onnx.save(model, path)
    images = torch.rand(3, 3, 32, 64)
    found = segmenter(path).segment(images).logits
    torch.testing.assert_close(found, logits_of(conv, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_batches_that_the_file_fixes(tmp_path, conv, count):
    found = segmenter(write(tmp_path / "net.onnx", conv, (count, 3, "h", "w")))
    images = torch.rand(4, 3, 32, 64)
    torch.testing.assert_close(found.segment(images).logits, logits_of(conv, images), atol=1e-4, rtol=1e-4)


def test_a_batch_of_one_that_the_file_does_not_own_up_to(tmp_path, conv):
    """The last axis takes up what belongs to a second image, so that the result is of another batch."""
    after = (("Reshape", ["logits", "one_batch"], ["y"], {}), ("Unsqueeze", ["y", "second"], ["z"], {}))
    path = write(tmp_path / "net.onnx", conv, after=after, outputs=("z",))
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "second"))
    onnx.save(model, path)
    found = segmenter(path, output_layout="NCHW")
    both = found.segment(torch.rand(2, 3, 32, 64)).logits
    assert both.shape == (2, 5, 1, 8 * 16)


def test_several_outputs(tmp_path, conv):
    more = (
        ("ArgMax", ["logits"], ["labels"], {"axis": 1, "keepdims": 0}),
        ("Neg", ["logits"], ["aux"], {}),
        ("ReduceMax", ["logits"], ["height"], {"axes": [1, 2, 3], "keepdims": 0}),
    )
    images = torch.rand(1, 3, 32, 64)
    right = logits_of(conv, images)
    for outputs in (("labels", "height", "logits"), ("aux", "logits", "labels")):
        found = segmenter(write(tmp_path / "net.onnx", conv, after=more, outputs=outputs))
        torch.testing.assert_close(found.segment(images).logits, right, atol=1e-4, rtol=1e-4)
    two = (("Neg", ["logits"], ["a"], {}), ("Neg", ["a"], ["b"], {}))
    path = write(tmp_path / "two.onnx", conv, after=two, outputs=("a", "b"))
    with pytest.raises(ConfigError, match=r"'a' \(float32 \[1, 5, .* 'b' \(float32 .* `output: NAME`"):
        segmenter(path)
    named = segmenter(path, output="b").segment(images).logits
    torch.testing.assert_close(named, right, atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="no output 'c'; it has: a, b"):
        segmenter(path, output="c")


def test_several_inputs_are_refused(tmp_path, conv):
    path = write(tmp_path / "net.onnx", conv)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.INT64, ["b", "h", "w"]))
    model.graph.node.append(helper.make_node("Identity", ["mask"], ["y"]))
    model.graph.output.append(helper.make_empty_tensor_value_info("y"))
    onnx.save(model, path)
    with pytest.raises(ConfigError, match=r"takes 2 inputs \(image float .*; mask int64 .* its only input"):
        segmenter(path)


def test_masks_of_queries_are_no_classes(tmp_path):
    """Five queries of three classes and void: [B, 5, h, w] alone would pass for five classes."""
    conv = torch.nn.Conv2d(3, 5, 4, stride=4)
    after = [("ReduceMean", ["logits"], ["m"], {"axes": [3], "keepdims": 0})]
    after += [("Slice", ["m", "from", "to", "along"], ["classes"], {})]

    def file(name, first, second):
        nodes = [*after, ("Identity", ["classes"], [first], {}), ("Identity", ["logits"], [second], {})]
        path = write(tmp_path / name, conv, after=nodes, outputs=(first, second))
        model = onnx.load(path)
        for key, value in (("from", 0), ("to", 4), ("along", 2)):
            model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), key))
        onnx.save(model, path)
        return path

    with pytest.raises(ConfigError, match="more than one reading"):
        segmenter(file("odd.onnx", "scores", "masks"))
    found = segmenter(file("named.onnx", "class_queries_logits", "masks_queries_logits"))
    assert len(found.classes) == 3
    seen = found.segment(torch.rand(2, 3, 32, 64))
    assert seen.queries.classes.shape == (2, 5, 4)
    assert seen.logits.shape == (2, 3, 8, 16)
    assert LogitDetector(found, "rba").score(torch.rand(1, 3, 32, 64)).shape == (1, 32, 64)


def test_impossible_options(tmp_path, conv):
    path = write(tmp_path / "net.onnx", conv)
    for option in ("layout", "output_layout", "gives"):
        with pytest.raises(ConfigError, match=f"{option} must be one of"):
            segmenter(path, **{option: "no"})
    with pytest.raises(ConfigError, match="not colour images in the layout NHWC"):
        segmenter(path, layout="NHWC")
