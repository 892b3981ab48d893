import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from oodseg.metrics.components import drop_small, label_components
from oodseg.metrics.instances import InstanceCounter, encode_mask, objects_of_mask


def block(top, left, height, width, size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def measure(predictions, label, minimum=1):
    counter = InstanceCounter(minimum)
    counter.update([encode_mask(mask) for mask, _ in predictions], [c for _, c in predictions], label)
    return counter.compute()


LABEL = (block(5, 5, 20, 20) | block(5, 50, 10, 10)).astype(np.uint8)


@pytest.mark.parametrize(
    ("predictions", "ap50", "ar", "false_alarms"),
    [
        ([(block(5, 5, 20, 20), 0.9), (block(5, 50, 10, 10), 0.8)], 1.0, 1.0, 0),
        ([(block(5, 5, 20, 20), 0.9)], 51 / 101, 0.5, 0),  # COCO's 101 recall points: 0 … 0.5
        ([], 0.0, 0.0, 0),
        ([(block(40, 40, 10, 10), 0.9)], 0.0, 0.0, 1),
        ([(block(5, 5, 20, 20), 0.9), (block(40, 40, 10, 10), 0.99)], 0.5 * 51 / 101, 0.5, 1),
    ],
)
def test_table(predictions, ap50, ar, false_alarms):
    found = measure(predictions, LABEL)
    assert found.ap50 == pytest.approx(ap50)
    assert found.ar == pytest.approx(ar)
    assert found.false_alarms_per_image == false_alarms
    assert found.boxes_per_image == len(predictions)


def test_predictions_in_the_ignored_region_are_neither_right_nor_wrong():
    label = LABEL.copy()
    label[30:, :] = 255
    right = [(block(5, 5, 20, 20), 0.9), (block(5, 50, 10, 10), 0.8)]
    found = measure([*right, (block(40, 10, 10, 10), 0.99)], label)
    assert found.ap50 == pytest.approx(1.0)
    assert found.false_alarms_per_image == 0


def test_recall_by_size():
    label = (block(0, 0, 4, 4, (200, 200)) | block(50, 50, 20, 20, (200, 200))).astype(np.uint8)
    label[80:190, 80:190] = 1
    predictions = [(block(80, 80, 110, 60, (200, 200)), 0.9), (block(50, 50, 20, 5, (200, 200)), 0.5)]
    by_size = measure(predictions, label).by_size
    assert (by_size["tiny"].objects, by_size["tiny"].found, by_size["tiny"].covered) == (1, 0, 0.0)
    assert (by_size["small"].objects, by_size["small"].found) == (1, 0)
    assert by_size["small"].covered == pytest.approx(0.25)
    assert by_size["medium"].objects == 0
    assert np.isnan(by_size["medium"].recall)
    assert by_size["large"].recall == 1.0
    assert by_size["large"].covered == pytest.approx(60 / 110)


def test_without_any_object_only_false_alarms_are_defined():
    found = measure([(block(5, 5, 10, 10), 0.9)], np.zeros((60, 80), np.uint8))
    assert np.isnan(found.ap)
    assert found.false_alarms_per_image == 1


def test_resampled_sets_without_an_object_or_anything_ordinary_are_undefined():
    counter = InstanceCounter()
    hit = [encode_mask(block(5, 5, 20, 20))]
    counter.update(hit, [0.5], block(5, 5, 20, 20).astype(np.uint8))
    counter.update([], [], np.zeros((60, 80), np.uint8))
    counter.update(hit, [0.5], np.where(block(5, 5, 20, 20), 1, 255).astype(np.uint8))
    spread = counter.resample(np.array([[3.0, 0, 0], [0, 3, 0], [0, 0, 3]]))
    for name in ("ap", "ap50", "ar"):
        np.testing.assert_allclose(spread[name], [1.0, np.nan, np.nan], err_msg=name)
    assert spread["boxes_per_image"].tolist() == [1.0, 0.0, 1.0]


def test_tiny_truth_is_ignored():
    label = LABEL.copy()
    label[50, 70:73] = 1
    right = [(block(5, 5, 20, 20), 0.9), (block(5, 50, 10, 10), 0.8)]
    assert measure(right, label, minimum=1).ar < 1.0
    assert measure(right, label, minimum=10).ar == pytest.approx(1.0)


def test_false_alarms_resample_as_means():
    counter = InstanceCounter()
    counter.update([encode_mask(block(40, 40, 10, 10))], [0.5], LABEL)
    counter.update([], [], LABEL)
    spread = counter.resample(np.array([[1.0, 1], [2, 0]]))
    assert spread["false_alarms_per_image"].tolist() == [0.5, 1.0]


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="size"):
        InstanceCounter().update([encode_mask(block(0, 0, 2, 2, (10, 10)))], [0.5], LABEL)


@given(arrays(bool, (7, 9)), st.integers(1, 4))
def test_components_become_run_length_masks(mask, minimum):
    score = np.linspace(0, 1, mask.size, dtype=np.float32).reshape(mask.shape)
    masks, confidences = objects_of_mask(mask, score, minimum)
    labels, areas = drop_small(*label_components(mask), minimum)
    assert len(masks) == len(areas) - 1
    for k, (encoded, confidence) in enumerate(zip(masks, confidences, strict=True), 1):
        np.testing.assert_array_equal(coco.decode(encoded).astype(bool), labels == k)
        assert confidence == pytest.approx(score[labels == k].mean(), abs=1e-6)
