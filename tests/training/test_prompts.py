import json

import numpy as np
import pytest
import torch
from prompt_fakes import FakeDetector, FakeSampler
from safetensors import safe_open
from safetensors.torch import load_file

from oodseg.core.bundle import find_bundle, load_part, read_config
from oodseg.core.errors import ConfigError
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.training.common import load_recipe
from oodseg.training.prompts import PromptRecipe, _in_bfloat16, fit, new_generator, rate_factor
from oodseg.training.score_cache import cache_scores

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
        cache_scores(FakeDetector(), [FakeSampler((48, 64))], 8, tmp_path / f"scores-{split}", seed)
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
    found = new_generator(PromptRecipe(**TINY, initial="street"))
    assert all(torch.equal(value, shipped[name]) for name, value in found.state_dict().items())
    assert found.config["calibration"] == [1.0, 0.0, 0.0]
    assert not torch.equal(new_generator(PromptRecipe(**TINY)).rcnn.rpn.head.conv[0][0].weight,
                           shipped["rcnn.rpn.head.conv.0.0.weight"])  # fmt: skip
    with pytest.raises(ConfigError, match="no prompt generator with the backbone resnet50"):
        new_generator(PromptRecipe(**TINY, initial="street", backbone="resnet50"))


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
    assert config["min_confidence"] == metrics["validation"]["min_confidence"]
    state = load_file(path)
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    generator = FasterRCNNPrompts(**config)
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
        cache_scores(FakeDetector(), [FakeSampler((64, 64))], count, tmp_path / f"scores-{split}", seed)
    changes = {"steps": 80, "batch_size": 4, "warmup_steps": 10, "decay_fraction": 0.5, "val_every": 80}
    recipe = PromptRecipe(**{**TINY, **changes, "sizes": [(64, 64)], "ema_decay": 0.9})
    validation = fit(recipe, tmp_path, progress=False)["validation"]["summary"]
    assert validation["ap50"] > 0.3
