import json

import numpy as np
import pytest
import torch
from prompt_fakes import FakeDetector, FakeSampler, fill
from safetensors import safe_open
from safetensors.torch import load_file

from oodseg.core.build import construct, load_part
from oodseg.core.bundle import find_bundle, read_config
from oodseg.core.errors import ConfigError
from oodseg.core.parts import OPERATING_POINTS
from oodseg.detectors.street import StreetDetector
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts, Reading
from oodseg.segmenters.street import StreetNet
from oodseg.training.common import load_recipe
from oodseg.training.prompt_selection import Ordinary
from oodseg.training.prompts import (
    PromptRecipe,
    _as_lists,
    _in_bfloat16,
    _Samples,
    feature_channels,
    fit,
    make_caches,
    new_generator,
    rate_factor,
    train,
)
from oodseg.training.scene_cache import read_scenes
from oodseg.training.score_cache import ScoreCache
from training_data import make_training_data

TINY = {
    "sizes": [(48, 64)],
    "scenes": 8,
    "val_scenes": 8,
    "steps": 2,
    "batch_size": 2,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "warmup_from": 1e-4,
    "warmup_steps": 1,
    "weight_decay": 1e-2,
    "val_every": 2,
    "workers": 0,
}


@pytest.fixture
def run(tmp_path):
    for split, seed in (("train", 0), ("val", 1)):
        fill(FakeDetector(), [(FakeSampler((48, 64)), 1)], 8, tmp_path / f"scores-{split}", seed)
    return tmp_path


def test_shipped_recipes_are_valid() -> None:
    shipped = load_recipe("prompts", PromptRecipe)
    assert shipped.backbone == "compact"
    assert shipped.augment.fluctuation == 0.01
    paper = load_recipe("prompts_resnet50", PromptRecipe)
    assert paper.backbone == "resnet50"
    rate = rate_factor(paper)
    rates = [paper.learning_rate * rate(step) for step in (0, 500, 1000, 59_999, 60_000, 80_000)]
    assert rates == pytest.approx([1e-4, 1.3e-3, 2.5e-3, 2.5e-3, 2.5e-4, 2.5e-5])


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


def test_unknown_key_in_a_recipe(tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("stepz: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="stepz"):
        load_recipe(tmp_path / "mine.yaml", PromptRecipe)


def test_rate_falls_linearly_at_the_end() -> None:
    recipe = PromptRecipe(**{**TINY, "steps": 100, "warmup_steps": 10, "decay_fraction": 0.5})
    factors = [rate_factor(recipe)(step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:51] == pytest.approx([1.0] * 41)
    assert factors[75] == pytest.approx(0.5)
    assert factors[100] == 0.0
    assert np.all(np.diff(factors[:11]) > 0)


def test_two_steps_write_weights_that_load_and_metrics(run) -> None:
    metrics = fit(PromptRecipe(**TINY), run, progress=False)
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8")) == json.loads(json.dumps(metrics))
    path = run / "prompts.safetensors"
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    assert config["score_only"]["operating_points"] == metrics["validation"]["score_only"]["operating_points"]
    assert list(metrics["validation"]) == ["score_only"]
    state = load_file(path)
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    generator = construct("prompts", {"name": "faster_rcnn", **config}, weights_follow=True)
    generator.load_state_dict(state)
    assert len(generator.propose(torch.randn(1, 48, 64))) == 1


def test_resumes_at_the_step_it_reached(run) -> None:
    fit(PromptRecipe(**TINY), run, progress=False)
    first = load_file(run / "prompts.safetensors")
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2
    fit(PromptRecipe(**{**TINY, "steps": 3}), run, progress=False)
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3
    second = load_file(run / "prompts.safetensors")
    name = "rcnn.backbone.stem.1.1.num_batches_tracked"
    assert (first[name].item(), second[name].item()) == (2, 3)


def with_features(**changes) -> PromptRecipe:
    return PromptRecipe(**{**TINY, "features": True, **changes})


def test_a_generator_joins_the_features_of_the_cache_if_its_recipe_says_so(run) -> None:
    cache = ScoreCache(run / "scores-val")
    assert feature_channels(with_features(), cache) == (3, 5)
    assert feature_channels(PromptRecipe(**TINY), cache) == ()
    metrics = fit(with_features(), run, progress=False)
    assert metrics["config"]["features"] == [3, 5]
    assert list(metrics["validation"]) == ["with_features", "score_only"]
    described = {"name": "faster_rcnn", **metrics["config"]}
    generator = construct("prompts", described, weights_follow=True)
    generator.load_state_dict(load_file(run / "prompts.safetensors"))
    for name, chosen in metrics["validation"].items():
        assert getattr(generator, name).operating_points == chosen["operating_points"]
        assert set(chosen["summary"]) == set(OPERATING_POINTS)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 60, 60), (0.5, 15, 45), (1.0, 0, 0)])
def test_features_are_hidden_as_often_as_asked_and_with_every_other_channel(run, share, least, most) -> None:
    cache = ScoreCache(run / "scores-train")
    samples = _Samples(cache, with_features(hidden_share=share, main_share=1.0))
    shown = sum(bool(samples(number)[2]) for number in range(60))
    assert least <= shown <= most
    # What lies behind the shipped score fits no other.
    others = _Samples(cache, with_features(hidden_share=0.0, main_share=0.0))
    assert len(cache[0].scores) == 2
    assert not any(others(number)[2] for number in range(60))
    plain = _Samples(cache, PromptRecipe(**TINY))
    assert not any(plain(number)[2] for number in range(8))


def test_a_batch_says_none_where_features_are_hidden() -> None:
    score, boxes = np.zeros((4, 6), np.float32), np.zeros((0, 4), np.float32)
    level = np.ones((3, 1, 1), np.float32)
    scores, found, features = _as_lists([(score, boxes, [level]), (score, boxes, [])])
    assert [tuple(each.shape) for each in scores] == [(4, 6)] * 2
    assert [tuple(each.shape) for each in found] == [(0, 4)] * 2
    assert [tuple(each.shape) for each in features[0]] == [(3, 1, 1)]
    assert features[1] is None


def test_each_reading_is_fitted_to_what_it_sees(run, monkeypatch) -> None:
    """What counts as ordinary differs, and so do the points chosen."""
    asked = []
    real = FasterRCNNPrompts.candidates

    def candidates(self, scores, features=None):
        asked.append(features is None)
        return real(self, scores, features)

    monkeypatch.setattr(FasterRCNNPrompts, "candidates", candidates)
    image = Ordinary(torch.randn(48, 64), (torch.randn(1, 3, 8, 8), torch.randn(1, 5, 4, 4)))
    recipe = with_features(steps=1, val_every=1)
    fit(recipe, run, progress=False, ordinary=[image])
    # Eight scenes and one image, for calibration and choice each: first with features, then without.
    assert asked[-36:] == [False] * 18 + [True] * 18


def test_scenes_come_in_every_size_and_as_large_as_the_detector_wants_them(tmp_path) -> None:
    make_training_data(tmp_path / "data")
    recipe = with_features(sizes=[(64, 80)], zoomed_sizes=[(40, 64)], scenes=16, val_scenes=9)
    detector = FakeDetector()
    make_caches(recipe, tmp_path / "data", tmp_path, detector, progress=False)
    assert detector.seen == {(1, 64, 80), (2, 80, 128)}
    for split in ("train", "val"):
        cache = ScoreCache(tmp_path / f"scores-{split}")
        assert [cache[index].scores.shape for index in (0, 8)] == [(2, 64, 80), (1, 40, 64)]
        assert len(cache) == 16
    train_images, val_images = (read_scenes(tmp_path / f"scenes-{split}", 0)[0] for split in ("train", "val"))
    assert not np.array_equal(train_images, val_images)
    # Another detector's scores need no new scenes.
    before = (tmp_path / "scenes-train" / "00000.npz").stat().st_mtime_ns
    for split in ("train", "val"):
        (tmp_path / f"scores-{split}").rename(tmp_path / f"old-{split}")
    make_caches(recipe, tmp_path / "data", tmp_path, FakeDetector(mean=0.5), progress=False)
    assert (tmp_path / "scenes-train" / "00000.npz").stat().st_mtime_ns == before


def test_a_whole_training_with_features(tmp_path) -> None:
    make_training_data(tmp_path / "data")
    changes = {"sizes": [(64, 96)], "zoomed_sizes": [(64, 96)], "val_scenes": 16, "scenes": 16}
    torch.manual_seed(0)
    network = StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1])
    detector = StreetDetector(network, statistics={"combined": [0.0, 1.0]}, detail=0.5)
    metrics = train(with_features(**changes), tmp_path / "data", tmp_path / "run", detector, progress=False)
    assert metrics["config"]["features"] == [8, 8]
    assert all(chosen["curve"] for chosen in metrics["validation"].values())


def test_bfloat16_backbone_gives_float32_levels_close_to_the_exact_ones() -> None:
    torch.manual_seed(0)
    backbone = FasterRCNNPrompts().rcnn.backbone
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        exact = backbone(x)
        _in_bfloat16(backbone)
        reduced = backbone(x)
    assert list(exact) == list(reduced)
    for name in exact:
        assert reduced[name].dtype == torch.float32
        assert float((exact[name] - reduced[name]).abs().max()) < 0.05 * float(exact[name].abs().max())


@pytest.mark.slow
def test_learns_to_find_blobs(tmp_path) -> None:
    for split, seed, count in (("train", 0, 96), ("val", 1, 24)):
        fill(FakeDetector(), [(FakeSampler((64, 64)), 1)], count, tmp_path / f"scores-{split}", seed)
    changes = {"steps": 80, "batch_size": 4, "warmup_steps": 10, "decay_fraction": 0.5, "val_every": 80}
    recipe = PromptRecipe(**{**TINY, **changes, "sizes": [(64, 64)], "ema_decay": 0.9})
    validation = fit(recipe, tmp_path, progress=False)["validation"]["score_only"]["summary"]
    assert validation["quiet"]["ap50"] > 0.3
