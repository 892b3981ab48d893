import numpy as np
import pytest

from oodseg.metrics.binned_pixels import BinnedPixels
from oodseg.metrics.pixel import PixelCurve


def collect(scores, labels):
    curve = PixelCurve()
    for score, label in zip(scores, labels, strict=True):
        curve.update(score, label)
    return curve


def test_resampling_equals_measuring_the_resampled_set():
    rng = np.random.default_rng(3)
    labels = (rng.random((4, 60, 60)) < 0.2).astype(np.uint8)
    scores = (rng.standard_normal((4, 60, 60)) + labels).astype(np.float32)
    binned = BinnedPixels(collect(scores, labels).bin_edges())
    for score, label in zip(scores, labels, strict=True):
        binned.update(score, label)
    spread = binned.resample(np.array([[1.0, 1, 1, 1], [2, 0, 1, 1]]))
    for row, drawn in enumerate(([0, 1, 2, 3], [0, 0, 2, 3])):
        whole = collect(scores[drawn], labels[drawn]).compute()
        for name in ("auprc", "fpr95", "auroc", "best_f1"):
            assert spread[name][row] == pytest.approx(getattr(whole, name), abs=5e-3), name


def test_resampled_sets_without_one_of_the_classes_are_undefined():
    labels = np.array([[[1, 0]], [[0, 0]], [[1, 1]]], np.uint8)
    scores = np.array([[[0.9, 0.1]], [[0.5, 0.2]], [[0.8, 0.7]]], np.float32)
    binned = BinnedPixels(collect(scores, labels).bin_edges())
    for score, label in zip(scores, labels, strict=True):
        binned.update(score, label)
    # The first alone; the second, which holds no anomaly; the third, which holds nothing else.
    spread = binned.resample(np.array([[3.0, 0, 0], [0, 3, 0], [0, 0, 3]]))
    for name, perfect in (("auprc", 1.0), ("fpr95", 0.0), ("auroc", 1.0), ("best_f1", 1.0)):
        np.testing.assert_equal(spread[name], [perfect, np.nan, np.nan], err_msg=name)
