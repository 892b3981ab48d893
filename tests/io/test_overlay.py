import numpy as np
import pytest

from oodseg.core.prediction import Prediction
from oodseg.io.overlay import COLOURS, caption, draw_overlay


def predict(shape, *boxes):
    masks = np.zeros((len(boxes), *shape), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    confidence = np.linspace(0.9, 0.2, len(boxes))
    return Prediction.from_masks(masks, np.array(boxes, float).reshape(-1, 4), confidence)


def test_every_object_has_a_colour_and_the_rest_is_muted():
    image = np.full((200, 300, 3), (200, 120, 120), np.uint8)
    prediction = predict((200, 300), (40, 60, 100, 120), (160, 60, 260, 160))
    before = image.copy()
    found = draw_overlay(image, prediction)
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    assert np.array_equal(image, before)
    for centre, colour in zip([(90, 70), (110, 210)], COLOURS, strict=False):
        expected = 0.58 * image[centre] + 0.42 * np.array(colour)
        assert np.abs(found[centre] - expected).max() <= 1
    far = found[180, 20].astype(int)
    assert far.sum() < image[180, 20].sum() * 0.8
    assert np.ptp(far) < np.ptp(image[180, 20].astype(int))


def test_outline_runs_along_the_border_of_the_mask():
    image = np.full((400, 400, 3), 128, np.uint8)
    found = draw_overlay(image, predict((400, 400), (100, 150, 300, 350)))
    assert np.abs(found[250, 100].astype(int) - COLOURS[0]).max() < 60
    assert found[250, 98].sum() < found[250, 90].sum()


def test_holes_are_outlined_and_not_filled():
    mask = np.zeros((1, 300, 300), bool)
    mask[0, 80:240, 80:240] = True
    mask[0, 130:190, 130:190] = False
    image = np.full((300, 300, 3), 128, np.uint8)
    found = draw_overlay(image, Prediction.from_masks(mask, [[80, 80, 240, 240]], [0.5]))
    assert np.ptp(found[160, 160].astype(int)) <= 1
    assert np.ptp(found[100, 100].astype(int)) > 20


@pytest.mark.parametrize("shape", [(16, 16), (16, 400), (400, 16), (37, 53), (720, 1280)])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_any_size_and_number(shape, count):
    rng = np.random.default_rng(0)
    boxes = []
    for _ in range(count):
        x0, y0 = rng.integers(0, shape[1] - 4), rng.integers(0, shape[0] - 4)
        boxes.append((x0, y0, rng.integers(x0 + 1, shape[1] + 1), rng.integers(y0 + 1, shape[0] + 1)))
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert draw_overlay(image, predict(shape, *boxes)).shape == image.shape


def test_chips_do_not_cover_each_other():
    """Two objects at one place: both confidences can be read, in both colours."""
    image = np.full((300, 400, 3), 90, np.uint8)
    found = draw_overlay(image, predict((300, 400), (100, 100, 200, 200), (100, 100, 200, 200)))
    for colour in COLOURS[:2]:
        assert (np.abs(found.astype(int) - colour).max(axis=2) == 0).sum() > 60


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no unknown object"), (1, "1 unknown object"), (5, "5 unknown objects")]
)
def test_caption(count, words):
    assert caption(count) == words
