import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.metrics.instances import encode_mask
from oodseg.metrics.risk import false_alarms, missed_objects, missed_pixels

THRESHOLDS = np.array([0.0, 0.3, 0.5, 0.8, 1.0])


def box(x0, y0, x1, y1):
    mask = np.zeros((40, 60), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def found(*boxes):
    return [encode_mask(box(*each)) for each in boxes]


@pytest.fixture
def label():
    """Two objects of 100 pixels, a speck, and an ignored strip."""
    made = np.zeros((40, 60), np.uint8)
    made[box(0, 0, 10, 10) | box(20, 20, 30, 30) | box(50, 30, 52, 31)] = 1
    made[box(0, 35, 60, 40)] = 255
    return made


def test_pixels_are_missed_where_no_kept_outline_lies(label):
    masks, confidences = found((0, 0, 10, 5), (0, 0, 10, 10), (20, 20, 30, 30)), [0.9, 0.5, 0.3]
    loss = missed_pixels(masks, confidences, label, THRESHOLDS)
    assert loss == pytest.approx(np.array([2, 2, 102, 152, 202]) / 202)
    assert missed_pixels([], [], label, THRESHOLDS) == pytest.approx(np.ones(5)), "even at 0"
    assert missed_pixels(masks, confidences, np.zeros_like(label), THRESHOLDS) is None


def test_an_object_is_found_by_one_outline_that_fits(label):
    halves = found((0, 0, 10, 4), (0, 4, 10, 10), (20, 20, 30, 30))
    loss = missed_objects(halves, [0.9, 0.5, 0.4], label, THRESHOLDS)
    assert loss == pytest.approx([0, 0, 0.5, 1, 1]), "four tenths of an object do not find it, six do"
    assert missed_objects([], [], label, THRESHOLDS) == pytest.approx(np.ones(5))
    speck = np.where(box(50, 30, 52, 31), label, 0)
    assert missed_objects(halves, [0.9, 0.5, 0.4], speck, THRESHOLDS) is None


def test_false_alarms_are_counted_down_to_the_threshold(label):
    masks = found((0, 0, 10, 10), (40, 0, 50, 10), (40, 10, 50, 20), (0, 35, 20, 40))
    assert false_alarms(masks, [0.9, 0.8, 0.4, 0.9], label, THRESHOLDS) == pytest.approx([2, 2, 1, 1, 0])
    assert false_alarms([], [], label, THRESHOLDS) == pytest.approx(np.zeros(5))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_no_loss_turns_back_and_all_equal_the_plain_count(seed):
    rng = np.random.default_rng(seed)
    label = (rng.random((40, 60)) < 0.02).astype(np.uint8)
    label[5:15, 5 : 5 + int(rng.integers(1, 20))] = 1
    corners = rng.integers(0, 30, (6, 2))
    boxes = [(x, y, x + int(rng.integers(2, 30)), y + int(rng.integers(2, 10))) for x, y in corners.tolist()]
    masks, confidences = found(*boxes), np.round(rng.random(6), 1).tolist()
    missed = missed_pixels(masks, confidences, label, THRESHOLDS)
    assert (np.diff(missed) >= 0).all()
    assert (np.diff(missed_objects(masks, confidences, label, THRESHOLDS)) >= 0).all()
    assert (np.diff(false_alarms(masks, confidences, label, THRESHOLDS)) <= 0).all()
    for threshold, share in zip(THRESHOLDS, missed, strict=True):
        kept = [box(*each) for each, c in zip(boxes, confidences, strict=True) if c >= threshold]
        union = np.any(kept, 0) if kept else np.zeros(label.shape, bool)
        assert share == pytest.approx(1 - union[label == 1].mean())
