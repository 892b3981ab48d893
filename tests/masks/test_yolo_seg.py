import numpy as np
import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.masks.yolo_seg import Letterbox, check_outputs, detections, masks


@pytest.mark.parametrize(
    ("image", "rows", "columns", "scale"),
    [
        ((64, 64), (0, 64), (0, 64), 1.0),
        ((32, 64), (16, 48), (0, 64), 1.0),
        ((720, 1280), (14, 50), (0, 64), 0.05),
        ((100, 30), (0, 64), (22, 41), 0.64),  # of 45 columns left over, 22 go to the left
        ((1, 1000), (31, 32), (0, 64), 0.064),
    ],
)
def test_where_the_image_lies(image, rows, columns, scale):
    placed = Letterbox.fit(image, 64, 64)
    assert (placed.rows.start, placed.rows.stop) == rows
    assert (placed.columns.start, placed.columns.stop) == columns
    assert placed.scale == pytest.approx(scale)


def test_the_image_lies_in_grey():
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[..., 0] = 255
    found = Letterbox.fit((16, 32), 64, 64).put(pixels)
    assert found.dtype == np.float32
    assert found.shape == (1, 3, 64, 64)
    np.testing.assert_array_equal(found[0, :, 16:48], np.broadcast_to([[[1]], [[0]], [[0]]], (3, 32, 64)))
    np.testing.assert_allclose(found[0, :, :16], 114 / 255)
    np.testing.assert_allclose(found[0, :, 48:], 114 / 255)


def test_boxes_come_back():
    placed = Letterbox.fit((16, 32), 64, 64)
    found = placed.boxes(torch.tensor([[0.0, 16.0, 64.0, 48.0], [10.0, 20.0, 30.0, 40.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 32.0, 16.0], [5.0, 2.0, 15.0, 12.0]]))


def places(*rows):
    """Columns of centre x, centre y, width, height, two confidences and one coefficient."""
    return np.array(rows, np.float32).T.copy()


def test_the_confident_ones_without_duplicates():
    found = places(
        (50, 50, 40, 40, 0.5, 0.1, 1),
        (50, 51, 40, 40, 0.2, 0.6, 2),  # overlaps the first by 0.951
        (50, 58, 40, 40, 0.45, 0, 3),  # overlaps the second by 0.70
        (20, 20, 10, 30, 0.39, 0.1, 4),
    )
    boxes, coefficients = detections(found, 1, 0.4, 0.9)
    assert coefficients[:, 0].tolist() == [2, 3]
    assert boxes.tolist() == [[30, 31, 70, 71], [30, 38, 70, 78]]
    assert detections(found, 1, 0.4, 0.96)[1][:, 0].tolist() == [2, 1, 3]
    assert detections(found, 1, 0.7, 0.9)[0].shape == (0, 4)


def test_masks_are_combinations_of_prototypes_inside_their_boxes():
    """Ramps stay ramps when enlarged, so where they cross zero is known exactly."""
    x = np.broadcast_to(4 * np.arange(16) + 2.0, (16, 16))  # centres of cells of 4 pixels
    prototypes = np.stack([x, np.ones((16, 16)), x.T]).astype(np.float32)
    placed = Letterbox.fit((32, 64), 64, 64)
    boxes = torch.tensor([[8.0, 20.0, 50.0, 40.0], [0.0, 16.0, 64.0, 48.0]])
    # x above 30; y of the input above 28, which is 12 in the image, and 2 y below 3 x.
    coefficients = torch.tensor([[1.0, -30.0, 0.0], [0.0, -28.0, 1.0]])
    first, second = (each.numpy() for each in masks(boxes, coefficients, prototypes, placed, (32, 64)))
    rows, columns = np.mgrid[:32, :64] + 0.5
    inside = (rows > 4) & (rows < 24) & (columns > 8) & (columns < 50)
    np.testing.assert_array_equal(first, inside & (columns > 30))
    np.testing.assert_array_equal(second, rows > 12)


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [(1, 84, 8400)],  # boxes alone
        [(1, 37, 84), (1, 32, 8, 16)],  # prototypes of another stride
        [(1, 36, 84), (1, 32, 16, 16)],  # no class left
        [(1, 300, 38), (1, 32, 16, 16), (1, 1)],
        [(1, 300, 38), (1, 32, 16, 16)],  # after its own NMS
        [(1, 84, 37), (1, 32, 16, 16)],  # turned
        [(1, 37, 83), (1, 32, 16, 16)],  # not the cells of an input of 64 x 64
        [(1, 32, 16, 16), (1, 37, 84)],
    ],
)
def test_what_is_no_yolo_segmentation_network(shapes):
    outputs = [np.zeros(shape, np.float32) for shape in shapes]
    with pytest.raises(ConfigError, match=r"not a YOLO segmentation network: .*\[1, K, 16, 16\]"):
        check_outputs("file.onnx", outputs, 64, 64)


@pytest.mark.parametrize("places", [84, 340])  # of strides from 8 on, and from 4 on
def test_a_place_is_a_cell_of_a_grid(places):
    outputs = [np.zeros(shape, np.float32) for shape in ((1, 37, places), (1, 32, 16, 16))]
    check_outputs("file.onnx", outputs, 64, 64)


@pytest.mark.parametrize("wrong", [-0.5, 1.5, np.nan])
def test_confidences_are_probabilities(wrong):
    found = np.zeros((1, 37, 84), np.float32)
    found[0, :4] = 50
    found[0, 5:] = -9
    found[0, 4, 7] = wrong
    with pytest.raises(
        ConfigError, match=r"file\.onnx gives confidences from .* export the network with its"
    ):
        check_outputs("file.onnx", [found, np.zeros((1, 32, 16, 16), np.float32)], 64, 64)
