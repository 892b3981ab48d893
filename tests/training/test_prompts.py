import pytest
import torch
from prompt_fakes import TINY, FakeDetector, FakeSampler, fill, fill_run, with_features
from safetensors.torch import load_file

from oodseg.core.build import load_part
from oodseg.core.bundle import find_bundle, read_config
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import OPERATING_POINTS
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.street import StreetDetector
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from oodseg.segmenters.street import StreetNet
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained
from oodseg.training.ordinary import known_images
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.prompts import feature_channels, fit, new_generator, scores_of, train
from oodseg.training.score_cache import ScoreCache
from oodseg.training.score_source import DetectorScores, Ordinary
from tiny_segmenter import TinySegmenter, register
from training_data import make_training_data


@pytest.fixture
def run(tmp_path):
    return fill_run(tmp_path)


def test_shipped_recipes_are_valid() -> None:
    shipped = load_recipe("prompts", PromptRecipe)
    assert shipped.backbone == "compact"
    assert shipped.augment.fluctuation == 0.01
    paper = load_recipe("prompts_resnet50", PromptRecipe)
    assert paper.backbone == "resnet50"
    assert (paper.gradient_clip, paper.precision, paper.decay_fraction) == (None, "32-true", 0)


def test_a_training_goes_on_from_a_pipelines_generator() -> None:
    folder = find_bundle("street")
    shipped = load_part(folder, read_config(folder), "prompts").state_dict()
    found = new_generator(PromptRecipe(**TINY, initial="street"), (96, 160))
    assert all(torch.equal(value, shipped[name]) for name, value in found.state_dict().items())
    assert found.score_only == found.with_features == Reading()
    assert not torch.equal(new_generator(PromptRecipe(**TINY)).rcnn.rpn.head.conv[0][0].weight,
                           shipped["rcnn.rpn.head.conv.0.0.weight"])  # fmt: skip
    with pytest.raises(ConfigError, match="no prompt generator with the backbone resnet50"):
        new_generator(PromptRecipe(**TINY, initial="street", backbone="resnet50"))
    with pytest.raises(ConfigError, match="no prompt generator with the backbone compact"):
        new_generator(PromptRecipe(**TINY, initial="street"), (1, 2, 3))


def test_a_generator_of_scores_alone_goes_on_from_one_that_joins_features() -> None:
    folder = find_bundle("street")
    shipped = load_part(folder, read_config(folder), "prompts")
    found = new_generator(PromptRecipe(**TINY, initial="street"))
    assert found.features == ()
    scores = [2 * torch.randn(64, 96, generator=torch.Generator().manual_seed(0))]
    with torch.inference_mode():
        (mine,), (theirs,) = found.detect(scores)[0], shipped.detect(scores)[0]
    assert len(mine["boxes"])
    for key, value in mine.items():
        torch.testing.assert_close(value, theirs[key])


def test_unknown_key_in_a_recipe(tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("stepz: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="stepz"):
        load_recipe(tmp_path / "mine.yaml", PromptRecipe)


def test_two_steps_write_weights_that_load_and_metrics(run) -> None:
    done = fit(PromptRecipe(**TINY), run)
    generator = load_trained(run, "prompts")
    chosen = done.metrics["validation"]["score_only"]
    assert generator.score_only.operating_points == chosen["operating_points"]
    assert "with_features" not in done.metrics["validation"]
    assert 0 <= done.metrics["validation"]["val/recall50"] <= 1
    state = load_file(done.path)
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    assert len(generator.propose(torch.randn(1, 48, 64))) == 1


def test_resumes_at_the_step_it_reached(run) -> None:
    fit(PromptRecipe(**TINY), run)
    first = load_file(run / "prompts.safetensors")
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2
    fit(PromptRecipe(**{**TINY, "max_steps": 3}), run)
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3
    second = load_file(run / "prompts.safetensors")
    name = "rcnn.backbone.stem.1.1.num_batches_tracked"
    assert (first[name].item(), second[name].item()) == (2, 3)


def test_a_generator_joins_the_features_of_the_cache_if_its_recipe_says_so(run) -> None:
    cache = ScoreCache(run / "scores-val")
    assert feature_channels(with_features(), cache) == (3, 5)
    assert feature_channels(PromptRecipe(**TINY), cache) == ()
    done = fit(with_features(), run)
    generator = load_trained(run, "prompts")
    assert generator.features == (3, 5)
    for name in ("with_features", "score_only"):
        chosen = done.metrics["validation"][name]
        assert getattr(generator, name).operating_points == chosen["operating_points"]
        assert set(chosen["summary"]) == set(OPERATING_POINTS)


def test_each_reading_is_fitted_to_what_it_sees(run, monkeypatch) -> None:
    """What counts as ordinary differs, and so do the points chosen."""
    asked = []
    real = FasterRCNNPrompts.candidates

    def candidates(self, scores, features=None):
        asked.append(features is None)
        return real(self, scores, features)

    monkeypatch.setattr(FasterRCNNPrompts, "candidates", candidates)
    image = Ordinary(torch.randn(48, 64), (torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4)))
    recipe = with_features(max_steps=1, val_every_steps=1)
    fit(recipe, run, ordinary=[image])
    # Eight scenes and one image, for calibration and choice each: first with features, then without.
    assert asked[-36:] == [False] * 18 + [True] * 18


def test_a_whole_training_with_features(tmp_path) -> None:
    make_training_data(tmp_path / "data")
    changes = {"sizes": [(64, 96)], "zoomed_sizes": [(64, 96)], "val_scenes": 16, "scenes": 16}
    torch.manual_seed(0)
    network = StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1])
    detector = StreetDetector(network, statistics={"combined": [0.0, 1.0]}, detail=0.5)
    done = train(with_features(**changes), tmp_path / "data", tmp_path / "run", DetectorScores(detector))
    assert load_trained(tmp_path / "run", "prompts").features == (8, 8)
    assert all(done.metrics["validation"][name]["curve"] for name in ("with_features", "score_only"))


def test_a_detector_that_was_never_fitted_is_fitted_to_ordinary_streets_and_kept(
    tmp_path, monkeypatch
) -> None:
    register(monkeypatch)
    data, detector = make_training_data(tmp_path / "data"), LogitDetector(TinySegmenter(), score="sml")
    source = scores_of(detector, PromptRecipe(**TINY), data, tmp_path / "run")
    assert source.detector.fitted
    kept = load_trained(tmp_path / "run" / "detector", "detector")
    assert kept.normalizer == detector.normalizer
    for name, value in detector.state_dict().items():
        assert torch.equal(kept.state_dict()[name], value), name
    expected = ScoreNormalizer.fit(detector.score(image) for image, _ in known_images(data))
    assert (expected.mean, expected.std) == pytest.approx((detector.normalizer.mean, detector.normalizer.std))
    # One that has its statistics is taken as it is.
    scores_of(detector, PromptRecipe(**TINY), data, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_learns_to_find_blobs(tmp_path) -> None:
    for split, seed, count in (("train", 0, 96), ("val", 1, 24)):
        fill(FakeDetector(), [(FakeSampler((64, 64)), 1)], count, tmp_path / f"scores-{split}", seed)
    changes = {
        "max_steps": 80,
        "batch_size": 4,
        "warmup_steps": 10,
        "decay_fraction": 0.5,
        "val_every_steps": 80,
    }
    recipe = PromptRecipe(**{**TINY, **changes, "sizes": [(64, 64)], "ema_decay": 0.9})
    validation = fit(recipe, tmp_path).metrics["validation"]["score_only"]["summary"]
    assert validation["quiet"]["ap50"] > 0.3
