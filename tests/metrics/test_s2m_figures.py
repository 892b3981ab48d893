import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oodseg.metrics.s2m import THRESHOLDS, S2MCurve, ScoreExtremes

SHAPE = (6, 7)
LABELS = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 255]))
# Confidences that equal thresholds exactly are where `>` against `>=` and rounding would show.
MAPS = arrays(
    np.float32,
    SHAPE,
    elements=st.one_of(
        st.floats(0, 1, width=32), st.integers(0, 100).map(lambda i: float(np.float32(i / 100)))
    ),
)


def naive_code(maps, labels):
    """The loop of the definition: 101 comparisons per image, means over images, trapezoid."""
    iou, dice = np.zeros((len(maps), 101)), np.zeros((len(maps), 101))
    for n, (values, label) in enumerate(zip(maps, labels, strict=True)):
        for k in range(101):
            mask = values > np.float32(k / 100)
            truth = label == 1
            both, union = (mask & truth).sum(), (mask | truth).sum()
            if union:
                iou[n, k] = both / union
                dice[n, k] = 2 * both / (mask.sum() + truth.sum())
    iou, dice = iou.mean(0), dice.mean(0)
    area = sum((iou[k] + iou[k + 1]) / 2 * 0.01 for k in range(100))
    return iou, area, dice.mean()


def naive_paper(maps, labels):
    """Pooled counts at 0, 0.01 … 0.99, ignored pixels removed."""
    values = np.concatenate([m[lab != 255] for m, lab in zip(maps, labels, strict=True)])
    truth = np.concatenate([lab[lab != 255] == 1 for lab in labels])
    iou, f1 = [], []
    for k in range(100):
        mask = values > np.float32(k / 100)
        tp, fp, fn = (mask & truth).sum(), (mask & ~truth).sum(), (~mask & truth).sum()
        iou.append(tp / (tp + fp + fn) if tp + fp + fn else 0.0)
        f1.append(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    return np.array(iou), 0.01 * sum(iou), 0.01 * sum(f1)


def collect(maps, labels):
    curve = S2MCurve()
    for values, label in zip(maps, labels, strict=True):
        curve.update(values, label)
    return curve


@given(st.lists(st.tuples(MAPS, LABELS), min_size=1, max_size=3))
def test_both_presets_equal_the_naive_loops(images):
    maps, labels = zip(*images, strict=True)
    curve = collect(maps, labels)
    for preset, naive in (("code", naive_code), ("paper", naive_paper)):
        iou, auiou, mean_f1 = naive(maps, labels)
        found = curve.compute(preset)
        if not (np.any(np.stack(labels) == 1) and np.any(np.stack(labels) == 0)):
            figures = (
                found.auiou,
                found.iou_best,
                found.best_threshold,
                found.iou_threshold_free,
                found.mean_f1,
            )
            assert np.isnan([*figures, *found.iou, *found.f1]).all()
            continue
        np.testing.assert_allclose(found.iou, iou, atol=1e-12)
        assert found.auiou == pytest.approx(auiou, abs=1e-12)
        assert found.mean_f1 == pytest.approx(mean_f1, abs=1e-12)
        assert found.iou_best == pytest.approx(iou.max(), abs=1e-12)
        assert found.iou[round(found.best_threshold * 100)] == pytest.approx(iou.max(), abs=1e-12)


def image(anomaly, predicted, ignored=(), value=0.6, size=10):
    label, values = np.zeros((1, size), np.uint8), np.zeros((1, size), np.float32)
    label[0, list(anomaly)] = 1
    label[0, list(ignored)] = 255
    values[0, list(predicted)] = value
    return values, label


@pytest.mark.parametrize(
    ("images", "preset", "free"),
    [
        ([image([1, 2], [1, 2])], "code", 1.0),
        ([image([1, 2], [2, 3])], "code", 1 / 3),
        # Rightly empty on an empty image scores 0 in the mean; alone, there is nothing to measure.
        ([image([], [])], "code", np.nan),
        ([image([], [3])], "paper", np.nan),
        ([image([1], [1], ignored=[0, *range(2, 10)])], "code", np.nan),
        ([image([1, 2], [1, 2, 5], ignored=[5])], "code", 2 / 3),  # a prediction on ignore is false
        ([image([1, 2], [1, 2, 5], ignored=[5])], "paper", 1.0),
        ([image([1, 2], [1, 2]), image([], [])], "code", 0.5),
        ([image([1, 2], [1, 2]), image([], [])], "paper", 1.0),
        ([image([1], [1]), image([1, 2, 3], [])], "code", 0.5),
        ([image([1], [1]), image([1, 2, 3], [])], "paper", 0.25),
    ],
)
def test_threshold_free_iou(images, preset, free):
    found = collect(*zip(*images, strict=True)).compute(preset)
    assert found.iou_threshold_free == pytest.approx(free, nan_ok=True)


def test_a_confidence_does_not_exceed_the_threshold_that_prints_like_it():
    values, label = image([1], [1], value=0.3)
    iou = collect([values], [label]).compute().iou
    assert iou[29] == 1.0
    assert iou[30] == 0.0


def test_per_image_figures_average_to_the_set():
    rng = np.random.default_rng(1)
    maps = rng.random((5, 8, 8), dtype=np.float32)
    labels = rng.integers(0, 2, (5, 8, 8)).astype(np.uint8)
    curve = collect(maps, labels)
    own, whole = curve.per_image(), curve.compute()
    assert own["auiou"].mean() == pytest.approx(whole.auiou)
    assert own["mean_f1"].mean() == pytest.approx(whole.mean_f1)
    one = collect(maps[2:3], labels[2:3]).compute()
    assert own["auiou"][2] == pytest.approx(one.auiou)


@pytest.mark.parametrize("preset", ["code", "paper"])
def test_resampled_sets_without_an_anomaly_are_undefined(preset):
    curve = collect(*zip(image([1], [1]), image([], [2]), strict=True))
    spread = curve.resample(np.array([[2.0, 0], [0, 2]]), preset)
    for name, values in spread.items():
        assert values[0] > 0, name
        assert np.isnan(values[1]), name
    assert curve.per_image()["auiou"].tolist() == [pytest.approx(0.595), 0.0]


@pytest.mark.parametrize("preset", ["code", "paper"])
def test_resampling_equals_measuring_the_resampled_set(preset):
    rng = np.random.default_rng(2)
    maps = rng.random((4, 8, 8), dtype=np.float32)
    labels = rng.choice(np.array([0, 1, 255], np.uint8), (4, 8, 8))
    weights = np.array([[2.0, 0.0, 1.0, 1.0]])
    drawn = [0, 0, 2, 3]
    spread = collect(maps, labels).resample(weights, preset)
    whole = collect(maps[drawn], labels[drawn]).compute(preset)
    for name in ("auiou", "iou_best", "iou_threshold_free", "mean_f1"):
        assert spread[name][0] == pytest.approx(getattr(whole, name))


@given(arrays(np.float32, (3, 4, 5), elements=st.floats(-1e6, 1e6, width=32)))
@example(np.eye(3, 20, dtype=np.float32).reshape(3, 4, 5) * np.finfo(np.float32).smallest_subnormal)
def test_extremes_bring_a_set_to_0_1(scores):
    extremes = ScoreExtremes()
    for one in scores:
        extremes.update(one)
    scaled = np.stack([extremes.normalize(one) for one in scores])
    assert scaled.min() >= 0.0
    assert scaled.max() <= 1.0
    if scores.max() > scores.min():
        assert scaled.flat[np.argmin(scores)] == 0.0
        assert scaled.flat[np.argmax(scores)] == pytest.approx(1.0, abs=1e-6)
    else:
        assert not scaled.any()


@pytest.mark.parametrize(
    "scores",
    [
        1e9 + np.arange(20.0),
        1.5e307 * np.arange(-10, 10),
        np.linspace(-3e38, 3e38, 20, dtype=np.float32),
    ],
)
def test_extremes_far_apart_or_far_from_zero(scores):
    extremes = ScoreExtremes()
    extremes.update(scores)
    np.testing.assert_allclose(extremes.normalize(scores), np.linspace(0, 1, 20), atol=1e-6)


def test_thresholds_are_hundredths():
    assert [f"{t:.2f}" for t in THRESHOLDS[[0, 1, 35, 100]]] == ["0.00", "0.01", "0.35", "1.00"]


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.full((2, 2), 1.5), "0..1"), (np.full((2, 2), -0.1), "0..1"), (np.full((2, 2), np.nan), "0..1"),
     (np.zeros((2, 3)), "shape")],
)  # fmt: skip
def test_maps_outside_the_contract_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        S2MCurve().update(values.astype(np.float32), np.zeros((2, 2), np.uint8))
