import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oodseg.metrics.pixel import PixelCurve, cut, pixel_metrics

LABELS = arrays(np.uint8, (5, 8), elements=st.sampled_from([0, 1, 255]))
SCORES = arrays(np.float32, (5, 8), elements=st.one_of(st.floats(-50, 50, width=32), st.integers(-3, 3)))


def collect(scores, labels, exact_limit=1 << 20):
    curve = PixelCurve(exact_limit)
    for score, label in zip(scores, labels, strict=True):
        curve.update(score, label)
    return curve


def reference(scores, labels):
    keep = labels != 255
    truth, values = labels[keep] == 1, scores[keep]
    fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
    levels = np.unique(values)
    f1 = [2 * (truth & (values >= t)).sum() / ((values >= t).sum() + truth.sum()) for t in levels]
    return {
        "auprc": average_precision_score(truth, values),
        "fpr95": fpr[np.argmax(tpr >= 0.95)],
        "auroc": roc_auc_score(truth, values),
        "best_f1": max(f1),
    }


@given(st.lists(st.tuples(SCORES, LABELS), min_size=1, max_size=3))
def test_exact_figures_equal_scikit_learn(images):
    scores, labels = (np.stack(part) for part in zip(*images, strict=True))
    assume((labels == 1).any() and (labels == 0).any())
    found = collect(scores, labels).compute()
    for name, value in reference(scores, labels).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name
    assert found.exact
    assert (found.positives, found.negatives) == ((labels == 1).sum(), (labels == 0).sum())


@settings(max_examples=15)
@given(st.lists(st.tuples(SCORES, LABELS), min_size=1, max_size=3))
def test_histogram_is_within_its_stated_error(images):
    scores, labels = (np.stack(part) for part in zip(*images, strict=True))
    assume((labels == 1).any() and (labels == 0).any())
    found = collect(scores, labels, exact_limit=0).compute()
    assert not found.exact
    assert abs(found.auprc - reference(scores, labels)["auprc"]) <= found.auprc_error + 1e-12


def test_many_pixels_move_into_the_histogram_and_agree():
    rng = np.random.default_rng(0)
    labels = (rng.random((4, 100, 100)) < 0.1).astype(np.uint8)
    scores = (rng.standard_normal((4, 100, 100)) + 2 * labels).astype(np.float32)
    exact, binned = collect(scores, labels).compute(), collect(scores, labels, exact_limit=15_000).compute()
    assert exact.exact
    assert not binned.exact
    for name in ("auprc", "fpr95", "auroc", "best_f1", "threshold"):
        assert getattr(binned, name) == pytest.approx(getattr(exact, name), abs=2e-3), name
    assert 0 < binned.auprc_error < 0.01


@given(SCORES, LABELS)
def test_the_mask_threshold_cuts_exactly_the_best_f1_mask(scores, labels):
    assume((labels == 1).any() and (labels == 0).any())
    found = pixel_metrics(scores, labels)
    mask, keep = cut(scores, found.threshold), labels != 255
    tp = (mask & (labels == 1)).sum()
    assert 2 * tp / ((mask & keep).sum() + (labels == 1).sum()) == pytest.approx(found.best_f1)


def test_a_map_of_two_values_keeps_its_top_plateau():
    label = np.array([[1, 1, 0, 0]], np.uint8)
    score = np.array([[0.9, 0.9, 0.0, 0.0]], np.float32)
    found = pixel_metrics(score, label)
    assert found.threshold == pytest.approx(0.9)
    assert (cut(score, found.threshold) == (label == 1)).all()
    assert found.best_f1 == 1.0


@pytest.mark.parametrize("far", [0.0, 1e6, 1e9])
def test_float64_keeps_its_order(far):
    rng = np.random.default_rng(0)
    labels = (rng.random((3, 20, 20)) < 0.3).astype(np.uint8)
    scores = far + 1e-6 * np.rint(rng.normal(labels, 1.0) * 1000)
    curve = collect(scores, labels)
    found = curve.compute()
    assert found.exact
    for name, value in reference(scores, labels).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name
    mask = cut(scores, found.threshold)
    assert 2 * (mask & (labels == 1)).sum() / (mask.sum() + labels.sum()) == pytest.approx(found.best_f1)
    edges = curve.bin_edges()
    assert len(edges) > 100
    assert set(edges[1:]) <= set(scores.ravel())


def test_float64_falls_together_in_the_histogram_within_its_stated_error():
    rng = np.random.default_rng(0)
    labels = (rng.random((2, 20, 20)) < 0.3).astype(np.uint8)
    scores = 1e9 + 1e-3 * rng.normal(labels, 1.0)
    scores[0, 0, :2] = (1e80, -1e80)
    found = collect(scores, labels, exact_limit=0).compute()
    assert not found.exact
    assert abs(found.auprc - reference(scores, labels)["auprc"]) <= found.auprc_error


@pytest.mark.parametrize("label", [0, 1, 255])
def test_one_sided_sets_have_no_figures(label):
    found = pixel_metrics(np.zeros((2, 2), np.float32), np.full((2, 2), label, np.uint8))
    assert all(np.isnan(getattr(found, name)) for name in ("auprc", "fpr95", "auroc", "best_f1"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_count_must_be_finite(bad):
    score = np.array([[0.0, bad]], np.float32)
    with pytest.raises(ValueError, match="finite"):
        pixel_metrics(score, np.array([[0, 1]], np.uint8))
    pixel_metrics(score, np.array([[0, 255]], np.uint8))  # an ignored pixel may hold anything


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        pixel_metrics(np.zeros((2, 3), np.float32), np.zeros((2, 2), np.uint8))


@given(SCORES, LABELS, st.randoms(use_true_random=False))
def test_order_of_images_and_monotone_rescaling_do_not_matter(scores, labels, random):
    scores = np.round(scores * 64) / np.float32(64)  # so that rescaling is exact
    assume((labels == 1).any() and (labels == 0).any())
    order = list(range(len(scores)))
    random.shuffle(order)
    first = collect(scores[:, None], labels[:, None]).compute()
    again = collect(scores[order][:, None] * np.float32(4) - np.float32(8), labels[order][:, None]).compute()
    assert again.auprc == pytest.approx(first.auprc, abs=1e-12)
    assert again.fpr95 == first.fpr95


def test_precision_recall_ends_at_full_recall():
    rng = np.random.default_rng(4)
    labels = (rng.random((2, 50, 50)) < 0.3).astype(np.uint8)
    recall, precision = collect(rng.random((2, 50, 50), np.float32), labels).precision_recall(50)
    assert recall[-1] == 1.0
    assert precision[-1] == pytest.approx(labels.mean(), abs=0.01)
    assert (np.diff(recall) > 0).all()
    assert len(recall) <= 50


@given(SCORES, LABELS)
def test_the_roc_curve_bounds_the_auroc(scores, labels):
    assume((labels == 1).any() and (labels == 0).any())
    curve = collect(scores[None], labels[None])
    along, up = curve.roc()
    assert (along[0], up[0], along[-1], up[-1]) == (0, 0, 1, 1)
    assert (np.diff(along) >= 0).all()
    assert (np.diff(up) >= 0).all()
    assert np.trapezoid(up, along) == pytest.approx(curve.compute().auroc, abs=1e-9)


def test_a_long_roc_curve_is_thinned():
    rng = np.random.default_rng(5)
    labels = (rng.random((1, 200, 200)) < 0.3).astype(np.uint8)
    curve = collect((rng.standard_normal(labels.shape) + labels).astype(np.float32), labels)
    along, up = curve.roc(50)
    assert 50 < len(along) <= 102
    assert np.trapezoid(up, along) == pytest.approx(curve.compute().auroc, abs=2e-3)


@pytest.mark.parametrize("only", [0, 1, 255])
def test_one_class_has_no_roc_curve(only):
    along, up = collect(np.zeros((1, 2, 2), np.float32), np.full((1, 2, 2), only, np.uint8)).roc()
    assert along.size == up.size == 0


def test_agrees_with_the_segment_me_if_you_can_toolkit(toolkit_cases):
    for score, label, expected in toolkit_cases.values():
        exact = collect(score, label).compute()
        assert exact.auprc == pytest.approx(expected["exact_pixel"]["AuPRC"], abs=1e-6)
        assert exact.fpr95 == pytest.approx(expected["exact_pixel"]["FPR95"], abs=1e-6)
        # The toolkit bins each image, so its own curve is a little off.
        toolkit = expected["toolkit_pixel"]
        for found in (exact, collect(score, label, exact_limit=0).compute()):
            assert found.auprc == pytest.approx(toolkit["area_PRC"], abs=2e-2)
            assert found.fpr95 == pytest.approx(toolkit["tpr95_fpr"], abs=2e-2)
            assert found.best_f1 == pytest.approx(toolkit["best_f1"], abs=2e-2)
            assert found.threshold == pytest.approx(toolkit["best_f1_threshold"], abs=2e-2)
