import json

import pytest
import torch

from oodseg.core.errors import WeightsError
from oodseg.detectors.street import StreetDetector
from oodseg.segmenters.street import StreetNet
from oodseg.training import detector as fitting
from oodseg.training.common import save_weights
from training_data import make_training_data

TINY = {"widths": [4, 4, 8, 8, 8], "depths": [1, 1, 1, 1]}


@pytest.fixture
def weights(tmp_path):
    network = StreetNet(**TINY)
    path = tmp_path / "segmenter.safetensors"
    save_weights(network.state_dict(), path, {"config": json.dumps(network.config)})
    return path


def test_the_fitted_detector_is_normalised_and_loads_again(tmp_path, weights, monkeypatch):
    make_training_data(tmp_path / "data")
    monkeypatch.setattr(fitting, "_SIZES", ((64, 96),))
    short = fitting.fit_combination
    monkeypatch.setattr(
        fitting, "fit_combination", lambda *args, **kwargs: short(*args, **{**kwargs, "scenes": 4})
    )
    detector = fitting.fit_detector(weights, tmp_path / "data", tmp_path / "out", progress=False)
    scores = torch.cat(
        [
            detector.normalizer(detector.score(each)).flatten()
            for each in fitting.known_pictures(tmp_path / "data")
        ]
    )
    assert abs(scores.mean()) < 0.3
    assert 0.5 < scores.std() < 2
    again = fitting.load_detector(tmp_path / "out")
    assert isinstance(again, StreetDetector)
    assert again.combination == detector.combination
    picture = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again.score(picture), detector.score(picture), atol=0.1, rtol=0.05)
    quality = json.loads((tmp_path / "out" / "detector.json").read_text())["validation"]
    assert set(quality) == {"[1]", "[1, 2]"}
    for each in quality.values():
        assert each["combined"]["auprc"] >= each["objectness"]["auprc"]


def test_missing_or_foreign_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match="oodseg train segmenter"):
        fitting.detector_from_weights(tmp_path / "nothing.safetensors")
    save_weights({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="oodseg train segmenter"):
        fitting.detector_from_weights(tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="oodseg train detector"):
        fitting.load_detector(tmp_path)
