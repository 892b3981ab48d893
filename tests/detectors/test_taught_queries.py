import pytest
import torch

import tiny_models
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.taught_queries import Mask2AnomalyDetector, RbaDetector
from oodseg.segmenters.hub_masks import Mask2FormerSegmenter


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return Mask2FormerSegmenter(str(tiny_models.save("mask2former", tmp_path_factory.mktemp("hub"))))


@pytest.mark.parametrize("detector", [Mask2AnomalyDetector, RbaDetector])
def test_untrained_it_scores_as_the_segmenter_does(detector, segmenter):
    images = torch.rand(2, 3, 50, 70)
    expected = LogitDetector(segmenter, detector.name).score(images)
    found = detector(segmenter)
    torch.testing.assert_close(found.score(images), expected)
    assert (detector(segmenter, smooth=2.0).score(images) - expected).abs().max() > 1e-4
    seen = found.see(images)
    torch.testing.assert_close(found.read(seen), seen.logits)


def test_gradients_reach_the_copy_alone(segmenter):
    segmenter.network.requires_grad_(False)
    detector = RbaDetector(segmenter)
    detector.judge(detector.see(torch.rand(1, 3, 64, 64))).sum().backward()
    assert all(each.grad.any() for each in detector.head.parameters())
    assert all(each.grad is None for each in segmenter.network.parameters())
    assert segmenter.heads().classes is segmenter.network.class_predictor
    assert detector.head.classes is not segmenter.network.class_predictor
