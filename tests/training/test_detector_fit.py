import json
from types import SimpleNamespace

import pytest
import torch

from oodseg.core.errors import WeightsError
from oodseg.detectors.street import StreetDetector
from oodseg.segmenters.street import StreetNet
from oodseg.training import detector as fitting
from oodseg.training.common import save_weights
from training_data import make_training_data, street

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
    monkeypatch.setattr(fitting, "_LARGE", (128, 192))
    short = fitting.fit_combination
    monkeypatch.setattr(
        fitting, "fit_combination", lambda *args, **kwargs: short(*args, **{**kwargs, "scenes": 4})
    )
    closer = fitting.fit_detail
    monkeypatch.setattr(
        fitting, "fit_detail", lambda *args, **kwargs: closer(*args, **{**kwargs, "scenes": 3})
    )
    detector = fitting.fit_detector(weights, tmp_path / "data", tmp_path / "out", progress=False)
    scores = torch.cat(
        [
            detector.normalizer(detector.score(each)).flatten()
            for each, _ in fitting.known_images(tmp_path / "data")
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
    assert again.detail == detector.detail
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


@pytest.mark.parametrize(
    ("size", "zoom", "seen", "fits"),
    [
        ((48, 64), 1, (48, 64), 1),
        ((48, 64), 2, (48, 64), 1),  # too small to be looked at closer
        ((480, 1280), 1, (240, 640), 1),
        ((480, 1280), 2, (480, 1280), 2),
        ((480, 1278), 2, (240, 640), 1),
    ],
)
def test_ordinary_images_come_as_a_pipeline_shows_them(tmp_path, size, zoom, seen, fits):
    make_training_data(tmp_path)
    for each in (tmp_path / "camvid" / "val").rglob("*.*"):
        each.unlink()
    street(tmp_path / "camvid" / "val", "only", size, [3, 0], 1)
    image, found = next(fitting.known_images(tmp_path, zoom))
    assert (tuple(image.shape), found) == ((1, 3, *seen), fits)
    assert 0 <= image.min() < image.max() <= 1


def test_a_closer_look_counts_as_much_as_is_best_on_large_scenes(tmp_path, weights, monkeypatch):
    make_training_data(tmp_path / "data")
    monkeypatch.setattr(fitting, "_LARGE", (128, 192))
    detector = fitting.detector_from_weights(weights)
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
        quality = fitting.fit_detail(detector, tmp_path, scenes=3, progress=False)
        assert list(quality) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
        assert detector.detail in expected
        assert detector.zoom == (2 if helps > 0 else 1)
        if helps > 0:
            assert quality["1.0"] > quality["0.0"] + 0.1
    assert set(seen) == {(1, 3, 128, 192)}
