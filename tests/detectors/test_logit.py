import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from oodseg.core.build import construct
from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import describe
from oodseg.detectors import Detector
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.scores import SCORES
from oodseg.detectors.scoring import FittedScore
from oodseg.masks.box import BoxSegmenter
from oodseg.nn.uncertainty import energy
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from tiny_segmenter import TinySegmenter, images, register

TINY = TinySegmenter(seed=3)


def street():
    return StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1])


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    register(monkeypatch)


def images_of(height=50, width=70):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(SCORES))
@pytest.mark.parametrize("size", [(64, 64), (50, 71)])
def test_scores_have_the_size_of_the_image_and_are_finite(name, size) -> None:
    detector = LogitDetector(TINY, name)
    detector.fit(images())
    scores = detector.score(images_of(*size))
    assert scores.shape == (2, *size)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()
    assert isinstance(detector, Detector)
    # One at a time it says the same.
    torch.testing.assert_close(detector.score(images_of(*size)[1:]), scores[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_fitted_scores_are_normal_on_what_they_were_fitted_on(name) -> None:
    detector, batches = LogitDetector(TINY, name, smooth=1.0), images()
    detector.fit(batches)
    scores = torch.cat([detector.score(each).flatten() for each in batches])
    assert detector.normalizer.mean == pytest.approx(scores.double().mean().item(), rel=1e-5, abs=1e-6)
    assert detector.normalizer.std == pytest.approx(scores.double().std(correction=0).item(), rel=1e-5)


def test_a_callable_makes_a_detector_that_cannot_be_saved() -> None:
    def network(images):
        return images.mean(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)

    images = images_of(64, 64)
    detector = LogitDetector(network, "energy")
    torch.testing.assert_close(detector.score(images), energy(network(images)))
    assert detector.score(images_of(50, 71)).shape == (2, 50, 71)
    with pytest.raises(ConfigError, match="cannot be saved"):
        _ = detector.config


def test_a_segmenter_object_is_used_as_it_is() -> None:
    mine = TinySegmenter(seed=3)
    detector = LogitDetector(mine)
    assert detector.segmenter is mine
    torch.testing.assert_close(detector.score(images_of()), LogitDetector(TINY).score(images_of()))
    assert detector.config["segmenter"] == {"name": "tiny", **mine.config}


def test_smoothing_lowers_a_peak_and_keeps_a_flat_score() -> None:
    def network(images):
        return torch.cat([-images[:, :1], images[:, :1] * 0], 1)

    images = torch.zeros(1, 3, 64, 64)
    images[:, :, 32, 32] = 5.0
    sharp = LogitDetector(network, "energy").score(images)
    smooth = LogitDetector(network, "energy", smooth=1.0).score(images)
    assert smooth.shape == sharp.shape
    assert 0 < smooth.std() < sharp.std()
    assert smooth.mean().item() == pytest.approx(sharp.mean().item(), abs=1e-6)


@pytest.mark.parametrize("segmenter", [street(), TINY])
@pytest.mark.parametrize(
    "score", ["entropy", {"name": "energy", "temperature": 2.0}, {"name": "sml", "dilation": 3}]
)
def test_config_is_json_and_with_the_weights_rebuilds_the_detector(segmenter, score) -> None:
    detector = LogitDetector(segmenter, score, smooth=1.0)
    detector.fit(images())
    again = construct("detectors", json.loads(json.dumps(describe(detector))), weights_follow=True)
    again.load_state_dict(detector.state_dict())
    torch.testing.assert_close(again.score(images_of()), detector.score(images_of()))


def pipeline(detector):
    return S2M(detector, ComponentPrompts(), BoxSegmenter(), working_side=(32, 64))


@pytest.mark.parametrize("score", sorted(SCORES))
def test_a_saved_pipeline_gives_the_same_scores(tmp_path, score) -> None:
    detector = LogitDetector(TINY, score, smooth=1.0)
    detector.fit(images())
    pipeline(detector).save_pretrained(tmp_path / "p")
    again = S2M.from_pretrained(tmp_path / "p").detector
    assert again.normalizer == detector.normalizer
    assert torch.equal(again.score(images_of()), detector.score(images_of()))
    # The segmenter is named, not copied; what the score learned lies in the folder, in full precision.
    weights = tmp_path / "p" / "detector.safetensors"
    statistics = detector.rule.statistics if isinstance(detector.rule, FittedScore) else ()
    if statistics:
        found = load_file(weights)
        assert set(found) == {f"rule.{name}" for name in statistics}
        assert {each.dtype for each in found.values()} == {torch.float32}
    else:
        assert not weights.exists()


def test_the_street_network_is_saved_with_the_pipeline(tmp_path) -> None:
    detector = LogitDetector(street(), "mahalanobis")
    for each in detector.parameters():
        each.data = each.data.half().float()  # what float16 can hold, so that loading is exact
    detector.fit(images(3, 64, 64))
    pipeline(detector).save_pretrained(tmp_path / "p")
    again = S2M.from_pretrained(tmp_path / "p").detector
    assert torch.equal(again.score(images_of()), detector.score(images_of()))
    found = load_file(tmp_path / "p" / "detector.safetensors")
    assert found["segmenter.class_head.weight"].dtype == torch.float16
    assert found["segmenter.stem.0.1.running_var"].dtype == torch.float32
    assert found["rule.whitening"].dtype == torch.float32


def test_an_unfitted_pipeline_says_so_after_loading_too(tmp_path) -> None:
    pipeline(LogitDetector(TINY, "sml")).save_pretrained(tmp_path / "p")
    again = S2M.from_pretrained(tmp_path / "p")
    with pytest.raises(ConfigError, match=r"'logit' was never fitted.*oodseg fit"):
        again(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "magic"}, "no 'magic' among the scores"),
        ({"smooth": -1}, "must be a standard deviation in pixels, not -1"),
        ({"segmenter": {"name": "tiny"}}, "a dict is not a segmenter: .*build_segmenter makes"),
    ],
)
def test_wrong_settings_are_named(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        LogitDetector(**{"segmenter": TINY, **arguments})


def test_a_score_that_the_segmenter_cannot_serve() -> None:
    detector = LogitDetector(TinySegmenter(gives=()), "rba")
    with pytest.raises(ConfigError, match="rba needs a mask classifier; tiny gives no mask queries"):
        detector.score(images_of())
    with pytest.raises(ConfigError, match="tiny gives no features"):
        LogitDetector(TinySegmenter(gives=()), "mahalanobis").fit(images())


def test_images_to_fit_on_are_read_twice() -> None:
    with pytest.raises(ConfigError, match="not a generator"):
        LogitDetector(TINY).fit(each for each in images())
    with pytest.raises(ScoreMapError):
        LogitDetector(TINY).fit([])
