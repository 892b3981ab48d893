import json

import numpy as np
import pytest

from oodseg.metrics.risk_coverage import aurc, risk_coverage, risk_coverage_band
from oodseg.report.measured_estimates import MeasuredEstimates

CLASSES = ("road", "<tree>", "car")


def measured(images=20):
    rng = np.random.default_rng(0)
    true = rng.random((images, 3))
    guess = np.clip(true + rng.normal(0, 0.1, true.shape), 0, 1)
    true[::4, 1], guess[1::5, 2] = np.nan, np.nan
    return MeasuredEstimates(CLASSES, guess, true, np.nanmean(guess, 1), "IoU", 2)


def test_the_document_is_json_with_intervals_and_classes():
    found = measured()
    document = json.loads(json.dumps(found.document()))
    assert document["images"] == 20
    assert document["without_truth"] == 2
    low, high = document["intervals_95"]["mean_pearson"]
    assert low < document["figures"]["mean_pearson"] < high
    rows = ~np.isnan(found.true[:, 1])
    expected = aurc(found.estimated[rows, 1], 1 - found.true[rows, 1])
    assert document["by_class"]["aurc"]["<tree>"] == pytest.approx(expected, abs=1e-4)


def test_charts_over_the_images_and_by_class():
    charts = measured().charts()
    assert len(charts) == 3
    assert charts[0].count("<polyline") == 4, "the curve, two ends of its interval, the best order"
    assert charts[1].count("<polyline") == 3
    assert "&lt;tree&gt;" in charts[1]
    assert charts[2].count("<rect") == 3
    assert "in 15 images" in charts[2]
    assert measured(2).charts() == []


def test_a_band_holds_the_curve_and_narrows_with_more_images():
    rng = np.random.default_rng(1)
    widths = []
    for count in (20, 2000):
        confidence = rng.random(count)
        risk = np.clip(1 - confidence + rng.normal(0, 0.1, count), 0, 1)
        coverage, low, high = risk_coverage_band(confidence, risk, 200)
        curve = np.interp(coverage, *risk_coverage(confidence, risk))
        assert ((low <= curve) & (curve <= high)).mean() > 0.9
        widths.append((high - low).mean())
    assert widths[1] < widths[0] / 4
    np.testing.assert_array_equal(coverage[[0, -1]], [0.02, 1])
