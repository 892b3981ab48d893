import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from oodseg.metrics.components import TAUS, TRACK_SIZES, ComponentCounter, MinimumSizes, match_components

ANY = MinimumSizes(predicted=1, truth=1)
MASKS = arrays(bool, (9, 11))
LABELS = arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 0, 1, 255]))
SIZES = st.builds(MinimumSizes, predicted=st.integers(1, 5), truth=st.integers(1, 5))


def naive(mask, label, sizes):
    """One component at a time, straight from the definition."""
    eight = np.ones((3, 3))
    pred, m = ndimage.label(mask & (label != 255), eight)
    preds = [pred == p for p in range(1, m + 1) if (pred == p).sum() >= sizes.predicted]
    truth, n = ndimage.label(label == 1, eight)
    truths = [truth == k for k in range(1, n + 1) if (truth == k).sum() >= sizes.truth]
    small = (truth > 0) & ~np.any([np.zeros_like(mask), *truths], axis=0)
    preds = [p & ~small for p in preds if (p & ~small).any()]

    def siou(own, others, rivals):
        touching = np.zeros_like(own)
        for other in others:
            if (other & own).any():
                touching |= other
        elsewhere = sum((touching & rival).sum() for rival in rivals if rival is not own)
        return (own & touching).sum() / ((own | touching).sum() - elsewhere)

    return (
        sorted(siou(k, preds, truths) for k in truths),
        sorted(siou(p, truths, preds) for p in preds),
        sorted((p & (label == 1)).sum() / p.sum() for p in preds),
    )


@given(MASKS, LABELS, SIZES)
def test_equals_one_component_at_a_time(mask, label, sizes):
    found = match_components(mask, label, sizes)
    for values, expected in zip(
        (found.siou, found.siou_predicted, found.ppv), naive(mask, label, sizes), strict=True
    ):
        np.testing.assert_allclose(np.sort(values), expected, atol=1e-12)


@given(MASKS, LABELS)
def test_many_components_take_the_sparse_way_to_the_same_figures(mask, label):
    import oodseg.metrics.components as module

    dense = match_components(mask, label, ANY)
    limit, module._DENSE = module._DENSE, 0
    try:
        sparse = match_components(mask, label, ANY)
    finally:
        module._DENSE = limit
    np.testing.assert_array_equal(dense.siou, sparse.siou)
    np.testing.assert_array_equal(dense.ppv, sparse.ppv)


def rows(*lines):
    return np.array([[int(c) for c in line] for line in lines])


@pytest.mark.parametrize(
    ("truth", "mask", "siou", "ppv"),
    [
        (rows("1100"), rows("1100"), [1.0], [1.0]),
        (rows("1100"), rows("0110"), [1 / 3], [0.5]),
        (rows("1100"), rows("0000"), [0.0], []),
        (rows("0000"), rows("0110"), [], [0.0]),
        # One prediction over two objects: what it covers of the other is forgiven, the gap is not.
        (rows("110011"), rows("111111"), [0.5, 0.5], [4 / 6]),
        # Two predictions on one object count together.
        (rows("1111"), rows("1011"), [0.75], [1.0, 1.0]),
        # Eight neighbours join diagonally.
        (rows("10", "01"), rows("10", "01"), [1.0], [1.0]),
    ],
)
def test_table(truth, mask, siou, ppv):
    found = match_components(mask.astype(bool), truth.astype(np.uint8), ANY)
    np.testing.assert_allclose(found.siou, siou)
    np.testing.assert_allclose(found.ppv, ppv)


def test_predictions_outside_the_region_of_interest_are_cut_first():
    label = np.array([[1, 1, 255, 255, 255]], np.uint8)
    found = match_components(np.ones((1, 5), bool), label, ANY)
    assert found.siou.tolist() == [1.0]
    assert found.ppv.tolist() == [1.0]


def test_small_components_do_not_count():
    label, mask = np.zeros((20, 40), np.uint8), np.zeros((20, 40), bool)
    label[0, :5] = 1  # under 10 px: ignored, and with it the prediction on it
    mask[0, :5] = True
    label[5:10, :10] = 1
    mask[5:10, :10] = True
    mask[15, :40] = True  # under 50 px: dropped
    found = match_components(mask, label, TRACK_SIZES["obstacle"])
    assert found.siou.tolist() == [1.0]
    assert found.ppv.tolist() == [1.0]


@pytest.mark.parametrize(
    ("truth", "mask", "f1", "siou", "ppv"),
    [("11", "11", 1.0, 1.0, 1.0), ("11", "00", 0.0, 0.0, np.nan), ("00", "11", np.nan, np.nan, np.nan),
     ("00", "00", np.nan, np.nan, np.nan)],
)  # fmt: skip
def test_nothing_to_find_and_nothing_found(truth, mask, f1, siou, ppv):
    counter = ComponentCounter(ANY)
    counter.update(rows(mask + "0").astype(bool), rows(truth + "0").astype(np.uint8))
    found = counter.compute()
    np.testing.assert_equal((found.f1_mean, found.siou, found.ppv), (f1, siou, ppv))


def test_without_an_in_distribution_pixel_nothing_can_be_measured():
    counter = ComponentCounter(ANY)
    counter.update(np.array([[True, False]]), np.array([[1, 255]], np.uint8))
    found = counter.compute()
    figures = (found.siou, found.siou_predicted, found.ppv, found.f1_mean)
    assert np.isnan([*figures, *found.f1]).all()
    assert (found.truths, found.predictions) == (1, 1)


def test_resampled_sets_without_an_object_are_undefined():
    counter = ComponentCounter(ANY)
    counter.update(np.array([[True, False]]), np.array([[1, 0]], np.uint8))
    counter.update(np.array([[True, False]]), np.array([[0, 0]], np.uint8))
    spread = counter.resample(np.array([[2.0, 0], [1, 1], [0, 2]]))
    np.testing.assert_equal(spread["siou"], [1.0, 1.0, np.nan])
    np.testing.assert_equal(spread["ppv"], [1.0, 0.5, np.nan])
    np.testing.assert_allclose(spread["f1_mean"], [1.0, 2 / 3, np.nan])


def test_resampling_equals_measuring_the_resampled_set():
    rng = np.random.default_rng(0)
    masks, labels = rng.random((4, 12, 12)) < 0.3, (rng.random((4, 12, 12)) < 0.2).astype(np.uint8)
    every, drawn = ComponentCounter(ANY), ComponentCounter(ANY)
    for i in range(4):
        every.update(masks[i], labels[i])
    for i in (0, 0, 2, 3):
        drawn.update(masks[i], labels[i])
    spread, whole = every.resample(np.array([[2.0, 0, 1, 1]])), drawn.compute()
    assert spread["f1_mean"][0] == pytest.approx(whole.f1_mean)
    assert spread["siou"][0] == pytest.approx(whole.siou)
    assert spread["ppv"][0] == pytest.approx(whole.ppv)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        match_components(np.zeros((2, 3), bool), np.zeros((2, 2), np.uint8), ANY)


def test_agrees_with_the_segment_me_if_you_can_toolkit(toolkit_cases):
    for score, label, expected in toolkit_cases.values():
        sizes = MinimumSizes(expected["track"]["seg"], expected["track"]["inst"])
        counter = ComponentCounter(sizes)
        for values, truth in zip(score, label, strict=True):
            counter.update(values > np.float32(expected["toolkit_pixel"]["best_f1_threshold"]), truth)
        found, toolkit = counter.compute(), expected["toolkit_component"]
        assert found.siou == pytest.approx(toolkit["sIoU_gt"], abs=1e-9)
        assert found.siou_predicted == pytest.approx(toolkit["sIoU_pred"], abs=1e-9)
        assert found.ppv == pytest.approx(toolkit["prec_pred"], abs=1e-9)
        assert found.f1_mean == pytest.approx(toolkit["f1_mean"], abs=1e-9)
        for tau, at in ((25, 0), (50, 5), (75, 10)):
            assert TAUS[at] == pytest.approx(tau / 100)
            assert found.f1[at] == pytest.approx(toolkit[f"f1_{tau}"], abs=1e-9)
            assert (found.tp[at], found.fp[at], found.fn[at]) == tuple(
                toolkit[f"{kind}_{tau}"] for kind in ("tp", "fp", "fn")
            )
