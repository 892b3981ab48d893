import numpy as np
import pytest

from oodseg.metrics.image_means import ImageMeans
from oodseg.metrics.pixel import pixel_metrics


def test_averages_images_with_an_anomaly_and_leaves_out_the_rest():
    rng = np.random.default_rng(0)
    scores = rng.random((4, 9, 9), np.float32)
    labels = (rng.random((4, 9, 9)) < 0.3).astype(np.uint8)
    labels[1] = 0
    means = ImageMeans()
    for score, label in zip(scores, labels, strict=True):
        means.update(score, label)
    single = [pixel_metrics(scores[i], labels[i]) for i in (0, 2, 3)]
    found = means.compute()
    assert found["auprc_image_mean"] == pytest.approx(np.mean([one.auprc for one in single]))
    assert found["fpr95_image_mean"] == pytest.approx(np.mean([one.fpr95 for one in single]))
    # Another quantity than the pooled figure, which is why it has another name.
    assert found["auprc_image_mean"] != pytest.approx(pixel_metrics(scores, labels).auprc)


def test_no_image_is_undefined():
    assert np.isnan(ImageMeans().compute()["auroc_image_mean"])
