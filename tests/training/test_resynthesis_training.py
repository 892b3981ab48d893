import cv2
import pytest
import torch
from safetensors.torch import load_file

from failure_parts import GENERATOR
from oodseg.core.errors import ConfigError, DatasetError, WeightsError
from oodseg.core.taxonomy import CLASSES
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.labelled import ViewMaker, load_label_set
from oodseg.training.resynthesis import ResynthesisRecipe, load_generator, train
from training_data import make_training_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def recipe(**changes):
    return ResynthesisRecipe(**{**GENERATOR, **changes})


def test_shipped_recipe_is_valid_and_the_default() -> None:
    assert load_recipe("resynthesis", ResynthesisRecipe) == ResynthesisRecipe()


def test_samples_depend_on_seed_and_number_alone(root) -> None:
    images = load_label_set("street", root).train
    first, second = ViewMaker(images, recipe(), 0)(17), ViewMaker(images, recipe(), 0)(17)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], ViewMaker(images, recipe(), 1)(17)[0])
    assert [tuple(each.shape) for each in first] == [(3, 32, 48), (32, 48)]


def test_trains_writes_and_goes_on(root, tmp_path) -> None:
    done = train(recipe(), root, tmp_path)
    generator, classes = load_generator(tmp_path)
    assert classes == CLASSES
    assert generator.short_side == 32
    state = load_file(done.path)
    assert not any("parametrizations" in name for name in state)
    assert {each.dtype for each in state.values() if each.is_floating_point()} == {torch.float16}
    assert {"val/similarity", "val/l1"} <= set(done.metrics["validation"])
    page = cv2.imread(str(tmp_path / "samples" / "step-2.png"))
    assert page.shape == (2 * 32, 3 * 48, 3)
    # A training in two parts is the training in one: it sees the same samples.
    train(recipe(max_steps=4, decay_fraction=0), root, tmp_path / "whole")
    train(recipe(decay_fraction=0), root, tmp_path / "parts")
    train(recipe(max_steps=4, decay_fraction=0), root, tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / done.path.name) for name in ("whole", "parts"))
    assert torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["global_step"] == 4
    for name, value in whole.items():
        torch.testing.assert_close(parts[name].float(), value.float(), atol=2e-3, rtol=1e-2)


def test_a_stop_loses_nothing_that_a_checkpoint_holds(root, tmp_path, monkeypatch) -> None:
    def fail(*args):
        raise RuntimeError("stopped")

    monkeypatch.setattr("oodseg.training.resynthesis.sample_page", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        train(recipe(max_steps=3, checkpoint_minutes=1e-6), root, tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] >= 1
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_perceptual_loss_can_be_left_out(root, tmp_path) -> None:
    train(recipe(perceptual=None, max_steps=1, val_every_steps=1), root, tmp_path)
    (curve,) = (tmp_path / "curve").rglob("metrics.csv")
    assert "train/perceptual" not in curve.read_text(encoding="utf-8")


def test_errors(root, tmp_path) -> None:
    with pytest.raises(WeightsError, match=r"none.pth cannot be read"):
        train(recipe(perceptual=str(tmp_path / "none.pth")), root, tmp_path / "run")
    with pytest.raises(ConfigError, match="multiple of 4"):
        train(recipe(size=(30, 48)), root, tmp_path / "run")
    with pytest.raises(DatasetError, match="must hold images/ and labels/"):
        train(recipe(), tmp_path, tmp_path / "run")
    with pytest.raises(WeightsError, match=r"holds no resynthesis\.safetensors"):
        load_generator(tmp_path)
