import numpy as np
import pytest
import torch
from prompt_fakes import FakeDetector

from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector
from oodseg.detectors.street import StreetDetector
from oodseg.segmenters.street import StreetNet
from oodseg.training.score_source import DetectorScores
from redness import Redness
from training_data import make_training_data


def image(rng, size=(32, 48)):
    return rng.integers(0, 255, (*size, 3)).astype(np.uint8)


def test_a_detector_gives_normalised_scores_and_features(rng) -> None:
    detector, pixels = FakeDetector(), image(rng)
    source = DetectorScores(detector)
    grey = torch.from_numpy(pixels[..., 0] / 255).float()
    scored = source.scene(pixels, "train/00000_0", 1, further=False)
    torch.testing.assert_close(list(scored.maps), [detector.normalizer(grey)])
    assert [tuple(each.shape) for each in scored.features] == [(3, 4, 6), (5, 2, 3)]
    both = source.scene(pixels, "train/00000_0", 1, further=True).maps
    torch.testing.assert_close(both[1], ScoreNormalizer(-2.5, 0.5)(grey * 6 - 4))
    assert source.scene(pixels, "train/00000_0", 2, further=False).maps[0].shape == (16, 24)
    assert (source.zoom, source.scale) == (2, None)


def test_any_detector_has_at_least_its_own_score(rng) -> None:
    redness = Redness()
    redness.normalizer = ScoreNormalizer(0.5, 0.25)
    scored = DetectorScores(redness).scene(image(rng), "train/00000_0", 1, further=True)
    assert len(scored.maps) == 1
    assert scored.features == []


def test_the_single_scores_of_street_are_further_ones(rng) -> None:
    torch.manual_seed(0)
    statistics = {"combined": [0.0, 1.0], "energy": [1.0, 2.0]}
    detector = StreetDetector(StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1]), statistics=statistics)
    found = detector.further_scores(torch.rand(1, 3, 64, 64))
    assert list(found) == ["objectness", "entropy", "energy"]
    maps = DetectorScores(detector).scene(image(rng, (64, 64)), "train/00000_0", 1, further=True).maps
    assert len(maps) == 4


def test_ordinary_images_come_as_a_pipeline_would_see_them(tmp_path) -> None:
    detector = FakeDetector()
    found = list(DetectorScores(detector).ordinary(make_training_data(tmp_path)))
    assert found
    assert detector.seen == {(1, 48, 64), (1, 40, 56)}  # all too small for a closer look
    assert all(each.score.ndim == 2 and each.features is not None for each in found)


def test_detectors_are_told_apart() -> None:
    prints = {DetectorScores(FakeDetector(mean)).fingerprint for mean in (0.25, 0.25, 0.5)}
    assert len(prints) == 2


def test_a_detector_that_was_never_fitted_is_refused() -> None:
    class Unfitted(Detector):
        name = "unfitted"

        def score(self, images):
            return images[:, 0]

    with pytest.raises(ConfigError, match="never fitted"):
        DetectorScores(Unfitted())
