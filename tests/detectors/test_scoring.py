import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation, describe
from oodseg.detectors.scores import SCORES
from oodseg.detectors.scoring import FittedScore, Score, build_score, check_needs
from oodseg.nn.uncertainty import energy
from tiny_segmenter import TinySegmenter, images


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_score_is_built_by_name_and_named_by_its_config(name) -> None:
    score = build_score(name)
    assert isinstance(score, Score)
    assert score.name == name
    assert describe(build_score(describe(score))) == describe(score)
    assert describe(score)["name"] == name
    assert score.needs in {"logits", "features", "queries"}


@pytest.mark.parametrize("config", [
    {"name": "energy", "temperature": 2.0},
    {"name": "sml", "boundary_width": 4, "dilation": 6},
    {"name": "mahalanobis", "shrinkage": 0.1},
    {"name": "maskomaly", "quiet": 0.05},
    {"name": "mask2anomaly", "background": [1, 2]},
])  # fmt: skip
def test_options_come_back_as_config(config) -> None:
    assert describe(build_score(config)) == config
    assert describe(build_score(describe(build_score(config)))) == config


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_score_scores_once_it_is_fitted(name) -> None:
    score, batch = build_score(name), images(4)
    segmentations = [TinySegmenter().segment(each) for each in batch]
    if isinstance(score, FittedScore):
        assert not score.fitted
        with pytest.raises(ConfigError, match=r"'.*' has no statistics yet.*oodseg fit"):
            score(segmentations[0], (40, 56))
        score.fit(segmentations)
        assert score.fitted
    for image, segmentation in zip(batch, segmentations, strict=True):
        found = score(segmentation, image.shape[-2:])
        assert found.ndim == 3
        assert found.isfinite().all()
        assert found.std() > 0


def test_options_reach_the_function() -> None:
    segmentation = TinySegmenter().segment(images(1)[0])
    score = build_score({"name": "energy", "temperature": 3.0})
    torch.testing.assert_close(score(segmentation, (1, 1)), energy(segmentation.logits, 3.0))


@pytest.mark.parametrize(("given", "message"), [
    ("magic", "no 'magic' among the scores; choose one of: energy"),
    ({"name": "energy", "temprature": 2}, "among the scores has no option 'temprature'; it takes: temp"),
    ({"name": "msp", "temperature": 2}, "'msp' among the scores has no option 'temperature'; it takes: none"),
    ({"name": "sml", "logits": 2}, "no option 'logits'; it takes: boundary_width, dilation"),
    ({"temperature": 2}, "one of the scores has no name"),
    ({"name": "sml", "dilation": -1}, "dilation must be a whole number"),
    ({"name": "sml", "boundary_width": 1.5}, "takes a whole number as boundary_width"),
    ({"name": "mahalanobis", "shrinkage": 0}, "shrinkage must be above 0"),
    ({"name": "maskomaly", "quiet": 2}, "from 0 to 1"),
])  # fmt: skip
def test_mistakes_are_named(given, message) -> None:
    with pytest.raises(ConfigError, match=message):
        build_score(given)


@pytest.mark.parametrize(("name", "gives", "message"), [
    ("rba", ("features",), "rba needs a mask classifier; segformer gives no mask queries: choose one of: "),
    ("maskomaly", (), "maskomaly needs a mask classifier"),
    ("mahalanobis", ("queries",), "mahalanobis needs a segmenter that hands out its features"),
])  # fmt: skip
def test_needs_that_are_not_met_list_what_works(name, gives, message) -> None:
    segmentation = TinySegmenter(gives=gives).segment(images(1)[0])
    with pytest.raises(ConfigError, match=message) as caught:
        check_needs(build_score(name), segmentation, "segformer")
    listed = str(caught.value).rsplit(": ", 1)[1].split(", ")
    assert "energy" in listed
    assert name not in listed
    assert ("mahalanobis" in listed) == ("features" in gives)
    assert ("rba" in listed) == ("queries" in gives)


def test_a_function_of_the_users_own(monkeypatch) -> None:
    def spread(logits, power=1.0):
        return -(logits.std(1) ** power)

    def loudest(queries):
        return queries.masks.amax(1)

    monkeypatch.setitem(SCORES, "spread", spread)
    monkeypatch.setitem(SCORES, "loudest", loudest)
    segmentation = TinySegmenter().segment(images(1)[0])
    found = build_score({"name": "spread", "power": 2.0})(segmentation, (1, 1))
    torch.testing.assert_close(found, -segmentation.logits.var(1))
    assert build_score("loudest").needs == "queries"
    torch.testing.assert_close(
        build_score("loudest")(segmentation, (1, 1)), segmentation.queries.masks.amax(1)
    )


def test_statistics_of_any_shape_are_loaded_as_they_were() -> None:
    first = build_score("mahalanobis")
    first.fit(TinySegmenter().segment(each) for each in images())
    second = build_score("mahalanobis")
    second.load_state_dict(first.state_dict())
    for name in first.statistics:
        assert torch.equal(getattr(first, name), getattr(second, name))
    # Over statistics of another shape, too.
    second.load_state_dict({**first.state_dict(), "means": torch.zeros(2, 6)})
    assert second.means.shape == (2, 6)


def test_fitting_under_inference_mode_does_not_freeze_the_statistics() -> None:
    score = build_score("sml")
    with torch.inference_mode():
        segmentations = [TinySegmenter().segment(each) for each in images()]
    score.fit(segmentations)
    score.load_state_dict({name: torch.ones_like(each) for name, each in score.state_dict().items()})
    assert (score.mean == 1).all()


def test_logits_in_half_precision_are_scored_in_single() -> None:
    logits = torch.randn(1, 4, 3, 3)
    half = build_score("entropy")(Segmentation(logits.half()), (3, 3))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, build_score("entropy")(Segmentation(logits), (3, 3)), atol=0.01, rtol=0)
