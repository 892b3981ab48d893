import contextlib
import io

import numpy as np
import pytest

from oodseg.metrics.average_precision import ImageObjects, ObjectMatches, coco_evaluation
from oodseg.metrics.instances import encode_mask


def images(seed, count=6, size=(40, 50), ties=True):
    """Random boxes as objects; predictions are shifted copies of some of them, with rivals and noise."""
    rng = np.random.default_rng(seed)

    def box(top, left, height, width):
        mask = np.zeros(size, bool)
        mask[max(0, top) : max(0, top) + height, max(0, left) : max(0, left) + width] = True
        return mask

    result = []
    for _ in range(count):
        truths, masks = [], []
        for _ in range(rng.integers(0, 4)):
            top, left, height, width = rng.integers([0, 0, 4, 4], [30, 40, 16, 16])
            truths.append(encode_mask(box(top, left, height, width)))
            for _ in range(rng.integers(0, 3)):
                jitter = rng.integers(-3, 4, 2)
                masks.append(encode_mask(box(top + jitter[0], left + jitter[1], height, width)))
        masks += [
            encode_mask(box(*rng.integers([0, 0, 4, 4], [30, 40, 16, 16]))) for _ in range(rng.integers(0, 3))
        ]
        crowd = encode_mask(box(30, 0, 10, 50)) if rng.random() < 0.5 else None
        confidences = rng.integers(1, 6, len(masks)) / 5 if ties else rng.random(len(masks))
        result.append(ImageObjects(size, truths, crowd, masks, confidences.tolist()))
    return result


@pytest.mark.parametrize("seed", range(12))
def test_the_whole_set_equals_pycocotools(seed):
    objects = images(seed)
    evaluation = coco_evaluation(objects)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = ObjectMatches(objects).figures(np.ones((1, len(objects))))
    assert found["ap"][0] == pytest.approx(evaluation.stats[0])
    assert found["ap50"][0] == pytest.approx(evaluation.stats[1])
    assert found["ar"][0] == pytest.approx(evaluation.stats[8])


@pytest.mark.parametrize("seed", range(6))
def test_weights_equal_drawing_images_again(seed):
    # Among equal confidences COCO goes by the order of the images, which copies change.
    objects = images(seed, ties=False)
    drawn = [0, 0, 2, 3, 3, 3]
    weights = np.bincount(drawn, minlength=len(objects)).astype(float)[None]
    whole = ObjectMatches([objects[i] for i in drawn]).figures(np.ones((1, len(drawn))))
    for name, value in ObjectMatches(objects).figures(weights).items():
        assert value[0] == pytest.approx(whole[name][0]), name


def test_many_resamples_are_cut_into_blocks_without_a_trace():
    objects = images(1)
    weights = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), 150).astype(float)
    together = ObjectMatches(objects).figures(weights)
    for k in (0, 70, 149):
        alone = ObjectMatches(objects).figures(weights[k : k + 1])
        assert together["ap"][k] == pytest.approx(alone["ap"][0])


def test_no_object_is_undefined_and_no_prediction_is_zero():
    objects = images(1)
    for image in objects:
        image.masks, image.confidences = [], []
    assert ObjectMatches(objects).figures(np.ones((1, 6)))["ap"].tolist() == [0.0]
    for image in objects:
        image.truths = []
    assert np.isnan(ObjectMatches(objects).figures(np.ones((1, 6)))["ap"]).all()
