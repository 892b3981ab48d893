from types import SimpleNamespace

import pytest
import torch

from oodseg.detectors.street import StreetDetector
from oodseg.segmenters.street import StreetNet
from oodseg.training import detector as fitting
from oodseg.training.detector import DetectorRecipe
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained
from oodseg.training.ordinary import known_images
from training_data import make_training_data

TINY = {"sizes": [(64, 96)], "scenes": 4, "large_size": (128, 192), "large_scenes": 3}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1])


def test_shipped_recipe_is_the_default():
    assert load_recipe("detector", DetectorRecipe) == DetectorRecipe()


def test_the_fitted_detector_is_normalised_and_loads_again(tmp_path, network):
    make_training_data(tmp_path / "data")
    done = fitting.train(DetectorRecipe(**TINY), tmp_path / "data", tmp_path / "out", network)
    detector = load_trained(tmp_path / "out", "detector")
    assert isinstance(detector, StreetDetector)
    scores = torch.cat(
        [detector.normalizer(detector.score(each)).flatten() for each, _ in known_images(tmp_path / "data")]
    )
    assert abs(scores.mean()) < 0.3
    assert 0.5 < scores.std() < 2
    quality = done.metrics["validation"]["by_reductions"]
    assert set(quality) == {"[1]", "[1, 2]"}
    for each in quality.values():
        assert each["combined"]["auprc"] >= each["objectness"]["auprc"]
    assert list(done.metrics["validation"]["auprc_by_detail"]) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
    assert done.metrics["recipe"]["scenes"] == 4


def test_a_closer_look_counts_as_much_as_is_best_on_large_scenes(tmp_path, network, monkeypatch):
    detector = StreetDetector(network)
    seen = []

    def made_up(images):
        """Scores that know nothing; a closer look knows all, or is wrong."""
        seen.append(tuple(images.shape))
        unknown = torch.zeros(1, 64, 96)
        unknown[:, ::2] = 1
        return torch.rand(1, 64, 96), helps * unknown, ()

    monkeypatch.setattr(detector, "details", made_up)
    truth = torch.zeros(128, 192, dtype=torch.uint8)
    truth[::4] = truth[1::4] = 1

    class Sampler:
        def __init__(self, *given):
            assert given[1] == (128, 192)

        def sample(self, rng):
            image = rng.integers(0, 255, (128, 192, 3)).astype("uint8")
            return SimpleNamespace(image=image, unknown=truth.numpy())

    monkeypatch.setattr(fitting, "SceneSampler", Sampler)
    for helps, expected in ((4.0, (0.25, 0.5, 0.75, 1.0)), (0.0, (0.0,)), (-4.0, (0.0,))):
        quality = fitting.fit_detail(detector, tmp_path, DetectorRecipe(**TINY))
        assert list(quality) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
        assert detector.detail in expected
        assert detector.zoom == (2 if helps > 0 else 1)
        if helps > 0:
            assert quality["1.0"] > quality["0.0"] + 0.1
    assert set(seen) == {(1, 3, 128, 192)}
