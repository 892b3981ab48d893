import json

import numpy as np
import pytest
import torch
from torch import nn

from failure_parts import make_comparator, make_generator, make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.taxonomy import CLASSES
from oodseg.failures.baselines import MSP
from oodseg.failures.comparator import Comparator
from oodseg.failures.storage import load_failure_detector, save_failure_detector
from oodseg.failures.synthcp import SynthCP
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained
from oodseg.training.unknown import UnknownRecipe, train, unknown_loss, validate
from training_data import make_training_data

QUICK = UnknownRecipe(
    size=(64, 96), scenes=4, val_scenes=3, max_steps=3, batch_size=2, workers=0, ordinary_images=2
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def detector():
    return SynthCP(make_segmenter(CLASSES), make_generator(7), make_comparator(count=7))


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    save_failure_detector(detector(), out / "before")
    train(QUICK, root, out / "run", out / "before")
    return out


def test_shipped_recipe_is_valid() -> None:
    recipe = load_recipe("unknown", UnknownRecipe)
    assert recipe.scenes > recipe.val_scenes
    assert recipe.mix.natural > 0


def test_everything_but_the_branch_stays_as_it_was(run) -> None:
    before, after = load_failure_detector(run / "before"), load_failure_detector(run / "run" / "detector")
    assert after.comparator.unknown is not None
    weights = after.state_dict()
    for name, value in before.state_dict().items():
        assert torch.equal(weights[name], value), name
    alone = load_trained(run / "run", "unknown", Comparator)
    assert alone.config == after.comparator.config
    image = torch.rand(3, 40, 56)
    np.testing.assert_array_equal(before.assess(image).error, after.assess(image).error)
    scorer = SynthCPDetector(run / "run" / "detector")
    assert scorer.combine == "unknown"
    assert (scorer.normalizer.mean, scorer.normalizer.std) != (0, 1)


def test_figures_are_those_of_the_validation_scenes(run) -> None:
    found = json.loads((run / "run" / "metrics.json").read_text())["validation"]
    assert set(found) == {"msp", "comparison", "unknown", "branch"}
    assert all(0 <= each["auprc"] <= 1 for each in found.values())


def test_a_second_run_makes_no_scene_again(root, run) -> None:
    paths = sorted((run / "run" / "features").glob("*/*.npz"))
    times = [each.stat().st_mtime_ns for each in paths]
    assert len(paths) == 7
    train(QUICK, root, run / "run", run / "before")
    assert [each.stat().st_mtime_ns for each in paths] == times
    other = QUICK.model_copy(update={"seed": 3})
    train(other, root, run / "run", run / "before")
    assert all(each.stat().st_mtime_ns > then for each, then in zip(paths, times, strict=True))


def test_validation_tells_a_perfect_branch(tmp_path) -> None:
    unknown = np.zeros((4, 6), np.uint8)
    unknown[1:3, 2:4], unknown[0] = 7, 255
    features = np.where(unknown > 0, 9.0, -9.0)[None].astype(np.float16)  # high where nothing is judged too
    flat = np.full((4, 6), 0.5, np.float16)
    np.savez(tmp_path / "0.npz", features=features, unknown=unknown, doubt=flat, error=flat)
    found = validate(nn.Conv2d(1, 1, 1).apply(_identity), [tmp_path / "0.npz"])
    assert found["unknown"]["auprc"] == found["branch"]["auprc"] == 1
    assert found["msp"]["auprc"] == pytest.approx(4 / 18)


def _identity(layer: nn.Module) -> None:
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)


def test_loss_counts_judged_pixels_only() -> None:
    unknown = torch.tensor([[[0, 5, 255]]], dtype=torch.uint8)
    logits = torch.tensor([[[-1.0, 2.0, 30.0]]])
    wanted = (torch.log1p(torch.tensor(-1.0).exp()) + torch.log1p(torch.tensor(-2.0).exp())) / 2
    torch.testing.assert_close(unknown_loss(logits, unknown), wanted)
    assert unknown_loss(logits, torch.full_like(unknown, 255)) == 0


def test_another_kind_of_failure_detector_cannot_be_taught(root, tmp_path) -> None:
    save_failure_detector(MSP(make_segmenter(CLASSES)), tmp_path / "msp")
    with pytest.raises(ConfigError, match="is not a synthcp"):
        train(QUICK, root, tmp_path / "run", tmp_path / "msp")
