import numpy as np
import pytest
import torch

from failure_parts import CLASSES, make_distance, make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.failures.feature_distance import FeatureDistance
from oodseg.segmenters import Segmentation
from oodseg.segmenters.given import GivenLabels


class Featured(GivenLabels):
    """Hands out features and logits that it is given."""

    def __init__(self, features, logits):
        super().__init__(CLASSES)
        self.found = Segmentation(logits, features)

    def segment(self, images):
        return self.found


def test_distance_against_plain_numpy():
    rng = np.random.default_rng(0)
    features, logits = rng.normal(size=(1, 4, 8, 8)), rng.normal(size=(1, 3, 8, 8))
    truth = rng.integers(0, 3, (8, 8))
    features[0, :, truth == 1] += [3, 0, 0, 0]
    truth[0, 0] = 255
    segmenter = Featured(torch.from_numpy(features).float(), torch.from_numpy(logits).float())
    judge = FeatureDistance(segmenter)
    judge.fit([(segmenter.found, torch.from_numpy(truth))], shrinkage=1e-6)
    z, label = features[0].reshape(4, -1).T, truth.ravel()
    means = np.stack([z[label == k].mean(0) for k in range(3)])
    known = label < 3
    gaps = z[known] - means[label[known]]
    inverse = np.linalg.inv(gaps.T @ gaps / known.sum())
    predicted = logits[0].argmax(0).ravel()
    own = z - means[predicted]
    expected = np.einsum("nd,de,ne->n", own, inverse, own)
    found = judge.measure(torch.zeros(3, 8, 8))
    np.testing.assert_array_equal(found.labels.numpy().ravel(), predicted)
    np.testing.assert_allclose(found.score.exp().numpy().ravel(), expected, rtol=1e-2, atol=1e-3)


def test_a_class_that_was_never_seen_is_far():
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0] = torch.arange(16).view(4, 4)
    logits = torch.zeros(1, 3, 4, 4)
    logits[0, 2, 0] = logits[0, 0, 1:] = 1
    segmenter = Featured(features, logits)
    judge = FeatureDistance(segmenter)
    judge.fit([(segmenter.found, torch.randint(0, 2, (4, 4)))])
    score = judge.measure(torch.zeros(3, 4, 4)).score
    assert torch.isfinite(score).all()
    assert score[0].min() >= score[1:].max()


def test_what_cannot_be_fitted_or_measured():
    segmenter = make_segmenter()
    unfitted = FeatureDistance(segmenter)
    with pytest.raises(ConfigError, match="knows 0 features and street gives 6: train it"):
        unfitted.assess(torch.rand(3, 32, 32))
    with pytest.raises(ConfigError, match="without labelled pixels"):
        unfitted.fit([])
    with pytest.raises(ConfigError, match="given gives none: choose msp"):
        FeatureDistance(GivenLabels("abc")).assess(torch.rand(3, 8, 8), torch.zeros(8, 8))
    assert make_distance(segmenter).config["channels"] == 6
