import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import entropy as divergence

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.detectors.fitted import KLMatching, Maskomaly
from tiny_segmenter import TinySegmenter, images


def test_templates_are_the_mean_probabilities_of_each_predicted_class() -> None:
    logits = torch.tensor([[2.0, 4.0, 0.0, 0.0], [0.0, 0.0, 3.0, 5.0], [1.0, 0.0, 0.0, 0.0]])[None, :, None]
    score = KLMatching()
    score.fit([Segmentation(logits)])
    p = softmax(logits[0, :, 0].numpy(), 0)
    # Nobody takes a pixel for the third class, so it has no template.
    expected = [(p[:, 0] + p[:, 1]) / 2, (p[:, 2] + p[:, 3]) / 2]
    np.testing.assert_allclose(score.templates.numpy(), expected, rtol=1e-6)


def test_kl_matching_against_scipy_over_images_of_mixed_sizes() -> None:
    segmentations = [TinySegmenter().segment(each) for each in images()]
    score = KLMatching()
    score.fit(iter(segmentations))
    pixels = np.concatenate([each.logits[0].flatten(1).T.numpy() for each in segmentations]).astype(
        np.float64
    )
    p = softmax(pixels, 1)
    templates = [p[p.argmax(1) == c].mean(0) for c in np.unique(p.argmax(1))]
    expected = np.min([divergence(p, each, axis=1) for each in templates], axis=0)
    found = np.concatenate([score(each, (1, 1)).flatten().numpy() for each in segmentations])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("score", [KLMatching(), Maskomaly()])
def test_nothing_to_fit_on(score) -> None:
    with pytest.raises(ScoreMapError, match="no image to fit"):
        score.fit([])
    assert not score.fitted


def test_maskomaly_takes_the_queries_that_leave_ordinary_images_alone() -> None:
    classes = torch.zeros(1, 3, 3)
    classes[:, :, 2] = 20.0  # all sure of void
    masks = torch.full((1, 3, 10, 10), -30.0)
    masks[:, 0, :5] = 30.0  # half the image
    masks[:, 1, 0, 0] = 30.0  # one pixel in a hundred
    score = Maskomaly(quiet=0.01)
    score.fit([Segmentation(torch.zeros(1, 2, 10, 10), queries=MaskQueries(classes, masks))] * 3)
    np.testing.assert_allclose(score.claimed.numpy(), [0.5, 0.01, 0], atol=1e-6)
    # A quiet query claims the last pixel, the loud one the first: only the first claim says "unknown".
    claim = torch.full((1, 3, 1, 2), -30.0)
    claim[0, 2, 0, 1] = claim[0, 0, 0, 0] = 30.0
    found = score(Segmentation(torch.zeros(1, 2, 1, 2), queries=MaskQueries(classes, claim)), (1, 2))
    np.testing.assert_allclose(found[0, 0], [0.6, 1.0], atol=1e-5)


def test_claims_of_queries_against_loops_over_mixed_sizes() -> None:
    segmentations = [TinySegmenter().segment(each) for each in images()]
    score = Maskomaly()
    score.fit(segmentations)
    p = softmax(segmentations[0].queries.classes[0].numpy(), 1).max(1)
    masks = np.concatenate([expit(each.queries.masks[0].flatten(1).numpy()) for each in segmentations], 1)
    np.testing.assert_allclose(score.claimed.numpy(), p * masks.mean(1), rtol=1e-5)


def test_maskomaly_without_queries() -> None:
    with pytest.raises(ConfigError, match="needs the queries of a mask classifier"):
        Maskomaly().fit([Segmentation(torch.zeros(1, 2, 3, 3))])
