import pytest
import torch

from oodseg.detectors import Detector, ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.errors import ConfigError

TINY = {"widths": [4, 4, 8, 8, 8], "depths": [1, 1, 1, 1]}


def pictures(height=50, width=70):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 97)])
def test_scores_have_the_size_of_the_picture_and_are_finite(size):
    detector = StreetDetector(TINY, {"objectness": 1.0, "entropy": 0.5, "energy": 0.25})
    scores = detector.score(pictures(*size))
    assert scores.shape == (2, *size)
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    assert isinstance(detector, Detector)


def test_the_combined_score_is_the_weighted_sum_of_normalised_ones():
    statistics = {"objectness": [-2.0, 0.5], "entropy": [1.0, 2.0], "energy": [-3.0, 4.0]}
    weights = {"objectness": 1.0, "entropy": 0.5, "energy": 0.0}
    detector = StreetDetector(TINY, weights, statistics)
    channels = detector.score_channels(pictures(64, 64))
    expected = sum(weights[name] * detector.channel_normalizers[name](channels[name]) for name in weights)
    torch.testing.assert_close(channels["combined"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(channels["combined"], detector.score(pictures(64, 64)))


def test_config_and_weights_rebuild_the_detector():
    detector = StreetDetector(TINY, {"objectness": 1.0, "entropy": 0.5}, {"combined": [0.5, 2.0]})
    again = StreetDetector(**detector.config)
    again.load_state_dict(detector.state_dict())
    assert again.normalizer == ScoreNormalizer(0.5, 2.0)
    torch.testing.assert_close(again.score(pictures()), detector.score(pictures()))


def test_one_picture_scores_alike_alone_and_in_a_batch():
    detector = StreetDetector(TINY)
    batch = pictures(64, 64)
    torch.testing.assert_close(detector.score(batch)[1:], detector.score(batch[1:]), atol=1e-2, rtol=1e-2)


def test_reductions_are_averaged():
    both = StreetDetector(TINY, reductions=[1, 2])
    whole, half = (StreetDetector(TINY, reductions=[factor]) for factor in (1, 2))
    for each in (whole, half):
        each.load_state_dict(both.state_dict())
    picture = pictures(50, 70)
    expected = {
        name: (score + half.score_channels(picture)[name]) / 2
        for name, score in whole.score_channels(picture).items()
    }
    for name, score in both.score_channels(picture).items():
        assert score.shape == (2, 50, 70)
        torch.testing.assert_close(score, expected[name], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(half.score(picture), whole.score(picture), atol=1e-3)


@pytest.mark.parametrize("reductions", [[], [0], [1, -2]])
def test_bad_reductions_are_refused(reductions):
    with pytest.raises(ConfigError, match="reductions"):
        StreetDetector(TINY, reductions=reductions)
