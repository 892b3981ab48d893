import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oodseg.metrics import (
    FailureCurve,
    aurc,
    calibration_error,
    image_dice,
    image_failure_intervals,
    image_failure_metrics,
    image_iou,
    pixel_failure_metrics,
)

LEVELS = 9  # coarse scores, so that ties occur


def images(seed, count=4, side=20):
    rng = np.random.default_rng(seed)
    wrong = [rng.random((side, side)) < share for share in rng.uniform(0.05, 0.5, count)]
    error = [np.round(rng.random((side, side)) * LEVELS + 2 * where) / (LEVELS + 2) for where in wrong]
    ignore = [rng.random((side, side)) < 0.1 for _ in range(count)]
    return [each.astype(np.float32) for each in error], wrong, ignore


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_pixels_as_scikit_learn_says(seed):
    error, wrong, ignore = images(seed)
    found = pixel_failure_metrics(error, wrong, ignore)
    kept = [(e[~i], w[~i]) for e, w, i in zip(error, wrong, ignore, strict=True)]
    score, label = np.concatenate([e for e, _ in kept]), np.concatenate([w for _, w in kept])
    assert found.aupr_error == pytest.approx(average_precision_score(label, score))
    assert found.aupr_success == pytest.approx(average_precision_score(~label, -score))
    assert found.auroc == pytest.approx(roc_auc_score(label, score))
    each = []
    for e, w in kept:
        fpr, tpr, _ = roc_curve(w, e, drop_intermediate=False)
        each.append(fpr[np.argmax(tpr >= 0.95)])
    assert found.fpr95 == pytest.approx(np.mean(each))
    assert found.error_rate == pytest.approx(label.mean())
    assert found.pixels == label.size


def test_histograms_come_close_to_the_sorted_figures():
    error, wrong, ignore = images(1, count=3, side=60)
    exact, rough = FailureCurve(), FailureCurve(exact_limit=0)
    for each in zip(error, wrong, ignore, strict=True):
        exact.update(*each)
        rough.update(*each)
    one, other = exact.compute(), rough.compute()
    for name in ("aupr_error", "aupr_success", "auroc", "fpr95"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-3)


def test_a_perfect_detector():
    wrong = np.zeros((8, 8), bool)
    wrong[2:4] = True
    found = pixel_failure_metrics([wrong.astype(np.float32)], [wrong])
    assert (found.aupr_error, found.aupr_success, found.auroc, found.fpr95) == (1, 1, 1, 0)


@pytest.mark.parametrize("everything", [False, True])
def test_nothing_to_tell_apart(everything):
    wrong = np.full((6, 6), everything)
    found = pixel_failure_metrics([np.ones((6, 6), np.float32)], [wrong])
    assert all(math.isnan(each) for each in (found.aupr_error, found.aupr_success, found.auroc, found.fpr95))
    assert found.error_rate == float(everything)


def test_empty_set():
    found = pixel_failure_metrics([], [])
    assert found.pixels == 0
    assert math.isnan(found.error_rate)


def test_images_without_mistakes_count_in_the_pool_but_not_in_fpr95():
    error, wrong, _ = images(2, count=2)
    quiet = np.zeros_like(wrong[0])
    alone, beside = (
        pixel_failure_metrics(error, wrong),
        pixel_failure_metrics([*error, error[0]], [*wrong, quiet]),
    )
    assert beside.fpr95 == alone.fpr95
    assert beside.aupr_error < alone.aupr_error


@pytest.mark.parametrize("error", [np.zeros((3, 4), np.float32), np.full((3, 3), np.nan, np.float32)])
def test_pixels_that_make_no_sense(error):
    with pytest.raises(ValueError, match=r"shape|finite"):
        FailureCurve().update(error, np.zeros((3, 3), bool))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_images_as_scipy_says(seed):
    rng = np.random.default_rng(seed)
    true = np.round(rng.random((12, 3)), 1)
    estimated = np.round((true + rng.random((12, 3))) / 2, 1)
    true[rng.random(true.shape) < 0.2] = np.nan
    true[:3] = [[0.1, 0.2, 0.3], [0.6, 0.5, 0.4], [0.9, 0.9, 0.8]]
    found = image_failure_metrics(estimated, true)
    for k in range(3):
        rows = ~np.isnan(true[:, k])
        one, other = estimated[rows, k], true[rows, k]
        assert found.by_class["mae"][k] == pytest.approx(np.abs(one - other).mean())
        assert found.by_class["std"][k] == pytest.approx(np.abs(one - other).std())
        if np.ptp(one):
            assert found.by_class["pearson"][k] == pytest.approx(stats.pearsonr(one, other).statistic)
            assert found.by_class["spearman"][k] == pytest.approx(stats.spearmanr(one, other).statistic)
    assert found.pearson == pytest.approx(np.mean(found.by_class["pearson"]))
    assert found.mae == pytest.approx(np.mean(found.by_class["mae"]))
    whole = ~np.isnan(true).all(1)
    means = estimated[whole].mean(1), np.nanmean(true[whole], 1)
    assert found.mean_pearson == pytest.approx(stats.pearsonr(*means).statistic)
    assert found.mean_spearman == pytest.approx(stats.spearmanr(*means).statistic)
    assert found.images == whole.sum()


def test_detectors_own_mean_is_taken():
    true = np.array([[0.2, 0.4], [0.6, 0.8], [0.9, 1.0]])
    found = image_failure_metrics(true, true, estimated_mean=np.array([0.9, 0.5, 0.1]))
    assert found.mean_pearson < -0.9
    assert found.mean_mae == pytest.approx(np.mean([0.6, 0.2, 0.85]))


def test_a_class_that_is_missed_is_estimated_at_its_true_nought():
    estimated, true = np.array([[np.nan], [0.7]]), np.array([[0.0], [0.7]])
    found = image_failure_metrics(estimated, true)
    assert found.mae == 0
    assert found.pearson == pytest.approx(1)


def test_a_class_that_is_nowhere_is_left_out():
    true = np.array([[0.2, np.nan], [0.8, np.nan]])
    found = image_failure_metrics(np.full((2, 2), 0.5) + true[:, :1] / 9, true)
    assert found.pearson == pytest.approx(1)
    assert math.isnan(found.by_class["mae"][1])


def test_one_image_has_errors_but_no_correlation():
    found = image_failure_metrics(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]))
    assert found.mae == pytest.approx(0.25)
    assert found.std == 0
    assert math.isnan(found.pearson)
    assert math.isnan(found.mean_spearman)


def test_no_image():
    found = image_failure_metrics(np.empty((0, 3)), np.empty((0, 3)))
    assert found.images == 0
    assert math.isnan(found.mae)
    assert math.isnan(found.mean_pearson)


@pytest.mark.parametrize(
    ("estimated", "true", "means"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), None),
        (np.zeros(3), np.zeros(3), None),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(3)),
    ],
)
def test_shapes_must_fit(estimated, true, means):
    with pytest.raises(ValueError, match="must"):
        image_failure_metrics(estimated, true, means)


def test_true_iou_and_dice():
    truth = np.array([[0, 0, 1, 1], [2, 2, 255, 255]], np.uint8)
    labels = np.array([[0, 1, 1, 1], [0, 0, 3, 2]], np.uint8)
    assert image_iou(labels, truth, 4) == pytest.approx([1 / 4, 2 / 3, 0, np.nan], nan_ok=True)
    assert image_dice(labels, truth, 4) == pytest.approx([2 / 5, 4 / 5, 0, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="differ in shape"):
        image_iou(labels, truth[:1], 4)


def qualities(seed, count=30, classes=3):
    rng = np.random.default_rng(seed)
    true = rng.random((count, classes))
    estimated = (true + rng.random((count, classes))) / 2
    true[rng.random(true.shape) < 0.2] = np.nan
    return estimated, true


def test_risk_and_calibration_by_class_and_over_classes():
    estimated, true = qualities(3)
    found = image_failure_metrics(estimated, true)
    for k in range(3):
        rows = ~np.isnan(true[:, k])
        one, other = estimated[rows, k], true[rows, k]
        assert found.by_class["aurc"][k] == pytest.approx(aurc(one, 1 - other))
        assert found.by_class["calibration_error"][k] == pytest.approx(calibration_error(one, other))
    assert found.aurc == pytest.approx(found.by_class["aurc"].mean())
    means = estimated.mean(1), np.nanmean(true, 1)
    assert found.mean_aurc == pytest.approx(aurc(means[0], 1 - means[1]))
    assert image_failure_metrics(true, true).excess_aurc == pytest.approx(0)


def test_intervals_of_resampled_images_hold_the_figure_and_shrink_with_their_number():
    few, many = qualities(4), qualities(4, count=480)
    found = image_failure_intervals(few[0], few[1], resamples=60)
    assert found == image_failure_intervals(few[0], few[1], resamples=60)
    figures = image_failure_metrics(*few)
    for name in ("mae", "pearson", "aurc", "mean_mae", "mean_spearman", "mean_aurc"):
        low, high = found[name]
        assert low < vars(figures)[name] < high, name
    narrow = image_failure_intervals(many[0], many[1], resamples=60)
    assert np.ptp(narrow["pearson"]) < np.ptp(found["pearson"]) / 2


def test_an_interval_leaves_out_resamples_in_which_nothing_varies():
    low, high = image_failure_intervals(np.array([[0.2], [0.6]]), np.array([[0.3], [0.9]]), resamples=40)[
        "pearson"
    ]
    assert (low, high) == pytest.approx((1, 1))
