import pytest
import torch

from oodseg.detectors import Detector, ScoreNormalizer
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.scores import energy
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


def test_any_callable_makes_a_detector():
    def segmenter(images):
        return images.mean(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)

    images = pictures(64, 64)
    detector = LogitDetector(segmenter, "energy")
    torch.testing.assert_close(detector.score(images), energy(segmenter(images)))
    with pytest.raises(ConfigError, match="cannot be saved"):
        _ = detector.config


def test_smoothing_keeps_the_mean_of_a_flat_score_and_lowers_a_peak():
    images = torch.zeros(1, 3, 64, 64)
    images[:, :, 32, 32] = 1.0

    def segmenter(batch):
        return torch.cat([-batch[:, :1], batch[:, :1] * 0], 1)

    sharp = LogitDetector(segmenter, "max_logit").score(images)
    smooth = LogitDetector(segmenter, "max_logit", smooth=1.0).score(images)
    assert smooth.shape == sharp.shape
    assert smooth.std() < sharp.std() or sharp.std() == 0
    flat = LogitDetector(segmenter, "energy", smooth=1.0).score(torch.zeros(1, 3, 64, 64))
    torch.testing.assert_close(flat, torch.full_like(flat, flat.mean().item()))


def test_the_bundled_network_under_another_score_can_be_saved():
    detector = LogitDetector(TINY, "entropy")
    again = LogitDetector(**detector.config)
    again.load_state_dict(detector.state_dict())
    torch.testing.assert_close(again.score(pictures()), detector.score(pictures()))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"score": "magic"}, "no score 'magic'"), ({"smooth": -1}, "cannot be -1")]
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        LogitDetector(TINY, **arguments)
