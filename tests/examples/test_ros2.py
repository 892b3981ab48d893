"""The ROS 2 node of the examples: its conversions, and its wiring against stand-ins for ROS."""

import importlib
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import ros_fakes

from oodseg import ImageError, Prediction
from redness import street

FOLDER = Path(__file__).parents[2] / "examples" / "ros2"
HEADER = {"stamp": {"sec": 7, "nanosec": 500_000_000}, "frame_id": "camera"}
RGB = np.array([[[250, 10, 20], [1, 2, 3]], [[0, 255, 0], [9, 9, 9]]], np.uint8)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "oodseg_ros"]:
        del sys.modules[name]


def part(name):
    return importlib.import_module(f"oodseg_ros.{name}")


def image(encoding, rows, padding=0, **fields):
    """A `sensor_msgs/Image` of bytes `[H, W * depth]`, with padding at the end of every row."""
    rows = np.pad(rows.reshape(len(rows), -1), ((0, 0), (0, padding)), constant_values=77)
    message = ros_fakes.CLASSES["Image"]()
    given = {
        "height": len(rows),
        "step": rows.shape[1],
        "encoding": encoding,
        "data": rows.tobytes(),
        **fields,
    }
    ros_fakes.set_message_fields(message, {"header": HEADER, **given})
    return message


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[:, :, ::-1]),
        ("8UC3", RGB[:, :, ::-1]),
        ("rgba8", np.dstack([RGB, np.full((2, 2), 3, np.uint8)])),
        ("bgra8", np.dstack([RGB[:, :, ::-1], np.full((2, 2), 3, np.uint8)])),
    ],
)
def test_colours_arrive_in_order(encoding, pixels, padding):
    decoded = part("conversion").to_pixels(image(encoding, pixels, padding, width=2))
    assert decoded.dtype == np.uint8
    assert decoded.tolist() == RGB.tolist()


def test_grey_of_eight_and_sixteen_bits():
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    to_pixels = part("conversion").to_pixels
    expected = np.repeat(grey[:, :, None], 3, 2).tolist()
    assert to_pixels(image("mono8", grey, width=2)).tolist() == expected
    deep = grey.astype(np.uint16) * 256 + 200
    little, big = deep.astype("<u2").view(np.uint8), deep.astype(">u2").view(np.uint8)
    assert to_pixels(image("mono16", little, width=2)).tolist() == expected
    assert to_pixels(image("mono16", big, width=2, is_bigendian=1)).tolist() == expected


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_the_mosaic_of_a_colour_comes_back_as_that_colour(order):
    colour = {"r": 200, "g": 120, "b": 40}
    tile = np.array([colour[each] for each in order], np.uint8).reshape(2, 2)
    decoded = part("conversion").to_pixels(image(f"bayer_{order}8", np.tile(tile, (4, 4)), width=8))
    assert decoded[4, 4].tolist() == [200, 120, 40]


@pytest.mark.parametrize(
    ("encoding", "bytes_of_two"),
    [("uyvy", [90, 81, 240, 81]), ("yuv422", [90, 81, 240, 81]), ("yuv422_yuy2", [81, 90, 81, 240])],
)
def test_red_in_luminance_and_chrominance(encoding, bytes_of_two):
    rows = np.tile(np.array(bytes_of_two, np.uint8), (2, 2))
    red, green, blue = part("conversion").to_pixels(image(encoding, rows, width=4))[1, 2]
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (image("16SC1", RGB, width=2), "'16SC1' are not understood"),
        (image("rgb8", RGB, width=3), "3x2 in rgb8 cannot have 6 bytes per row"),
        (image("rgb8", RGB, width=2, height=3), "12 in all"),
        (image("rgb8", RGB, width=0), "fills the message wrongly"),
        (image("uyvy", RGB, width=3), "an even width, not 3"),
    ],
)
def test_an_image_that_makes_no_sense_is_named(message, says):
    with pytest.raises(ImageError, match=says):
        part("conversion").to_pixels(message)


def test_compressed_images():
    decode = part("conversion").decode_compressed
    png = cv2.imencode(".png", RGB[:, :, ::-1])[1].tobytes()
    assert decode(SimpleNamespace(format="png", data=png)).tolist() == RGB.tolist()
    for data in (b"", b"no image"):
        with pytest.raises(ImageError, match="of format 'h264' are no image"):
            decode(SimpleNamespace(format="h264", data=data))


def test_a_prediction_becomes_mask_and_detections():
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1:3, 2:6] = masks[1, 0, 0] = True
    prediction = Prediction.from_masks(masks, [[2, 1, 6, 3], [0, 0, 1, 1]], [0.25, 0.75])
    mask = ros_fakes.filled("Image", part("conversion").mask_image(prediction, HEADER))
    assert (mask.height, mask.width, mask.step, mask.encoding) == (4, 6, 6, "mono8")
    assert np.frombuffer(mask.data, np.uint8).reshape(4, 6).tolist() == (255 * masks.any(0)).tolist()
    found = ros_fakes.filled("Detection2DArray", part("conversion").detections(prediction, HEADER))
    assert [each.id for each in found.detections] == ["1", "2"]
    assert [each.results[0].hypothesis.score for each in found.detections] == [0.75, 0.25]
    box = found.detections[1].bbox
    assert (box.center.position.x, box.center.position.y, box.size_x, box.size_y) == (4, 2, 4, 2)
    assert found.detections[1].header.frame_id == "camera"


def test_health_in_the_order_of_a_day():
    health = part("health").Health("eyes", "cpu", started=10.0)
    assert health.status(12.0)["message"] == "waiting for the first image"
    assert health.status(16.0)["level"] == b"\x01"
    assert "no image for 6 s" in health.status(16.0)["message"]
    health.answered(Prediction(None, 4, 6, timings={"total": 41.4}), now=17.0, stamp=16.8)
    status = health.status(18.0)
    assert (status["level"], status["message"]) == (b"\x00", "running")
    assert {"key": "milliseconds of the last image", "value": "41"} in status["values"]
    assert {"key": "seconds from stamp to answer", "value": "0.20"} in status["values"]
    health.refused("an odd width", now=18.5)
    assert (health.status(19.0)["level"], health.status(19.0)["message"]) == (b"\x02", "an odd width")
    assert health.status(30.0)["level"] == b"\x01"


@pytest.fixture
def node(red, monkeypatch):
    ros_fakes.install(monkeypatch)
    monkeypatch.setattr(ros_fakes.Node, "parameters", {"model": str(red), "device": "cpu"})
    return part("node").UnknownObjects()


def test_the_node_answers_an_image(node):
    pixels = street((10, 20, 40, 60), (70, 30, 90, 50))
    node.handlers["image"](image("rgb8", pixels, width=pixels.shape[1]))
    (mask,), (found,) = node.published["~/mask"], node.published["~/detections"]
    assert np.frombuffer(mask.data, np.uint8).any()
    assert (mask.header.stamp.sec, found.header.stamp.nanosec) == (7, 500_000_000)
    assert len(found.detections) == 2
    node.handlers[1.0]()
    (report,) = node.published["/diagnostics"]
    assert report.header.stamp.sec == 100
    assert (report.status[0].level, report.status[0].name) == (b"\x00", "unknown_objects: unknown objects")
    assert report.status[0].hardware_id == "cpu"


def test_the_node_names_a_fault_once(node):
    for _ in range(3):
        node.handlers["image"](image("rgb8", RGB, width=5))
    assert len(node.errors) == 1
    assert node.published["~/mask"] == []
    node.handlers[1.0]()
    (report,) = node.published["/diagnostics"]
    assert report.status[0].level == b"\x02"
    assert ("images that could not be used", "3") in [
        (each.key, each.value) for each in report.status[0].values
    ]


def test_the_node_takes_compressed_images(red, monkeypatch):
    ros_fakes.install(monkeypatch)
    given = {"model": str(red), "device": "cpu", "compressed": True}
    monkeypatch.setattr(ros_fakes.Node, "parameters", given)
    node = part("node").UnknownObjects()
    message = ros_fakes.CLASSES["CompressedImage"]()
    message.data = cv2.imencode(".png", street((10, 20, 40, 60))[:, :, ::-1])[1].tobytes()
    assert type(message) is node.images[0]
    node.handlers["image"](message)
    assert len(node.published["~/detections"][0].detections) == 1


def test_the_package_says_what_it_needs():
    package = ElementTree.parse(FOLDER / "package.xml").getroot()
    version = package.findtext("version")
    assert f'version="{version}"' in (FOLDER / "setup.py").read_text()
    needed = {each.text for each in package.iter("exec_depend")}
    source = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    for name in ("rclpy", "sensor_msgs", "vision_msgs", "diagnostic_msgs", "rosidl_runtime_py", "launch_ros"):
        assert name in needed
        assert name in source


def test_parameters_of_the_launch_file_are_those_of_the_node(monkeypatch):
    ros_fakes.install(monkeypatch)
    launch = (FOLDER / "launch" / "oodseg.launch.py").read_text()
    assert all(f'"{name}"' in launch for name in part("node").PARAMETERS)
    setup = (FOLDER / "setup.py").read_text()
    assert 'unknown_objects = {NAME}.node:main"' in setup
