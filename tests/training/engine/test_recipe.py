from pathlib import Path

import pytest

import oodseg.training.engine.recipe as engine
from oodseg.core.errors import ConfigError
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.detector import DetectorRecipe
from oodseg.training.engine.recipe import LoopRecipe, Recipe, load_recipe
from oodseg.training.masks import MasksRecipe
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.resynthesis import ResynthesisRecipe
from oodseg.training.segmenter import SegmenterRecipe
from oodseg.training.unknown import UnknownRecipe


class Mine(Recipe):
    steps: int = 3
    rate: float = 0.1


def test_a_recipe_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps: 7\n")
    assert load_recipe(path, Mine) == Mine(steps=7)
    path.write_text("")
    assert load_recipe(path, Mine) == Mine()
    ready = Mine(rate=1)
    assert load_recipe(ready, Mine) is ready


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steps: [1", "cannot be read as YAML"),
        ("stepps: 1\n", r"stepps: Extra inputs"),
        ("steps: many\n", r"steps: .*integer"),
        ("- 1\n", "the file: "),
    ],
)
def test_a_faulty_recipe_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path, Mine)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_lists_the_shipped_ones():
    with pytest.raises(ConfigError, match=r"no recipe 'nothing'.*masks"):
        load_recipe("nothing", Mine)


def test_reseeding_adds_to_the_seed_and_changes_nothing_else():
    one = Mine(seed=3, rate=0.5)
    assert one.reseeded(4) == Mine(seed=7, rate=0.5)
    assert one.seed == 3


@pytest.mark.parametrize(("prefix", "model"), [
    ("segmenter", SegmenterRecipe), ("detector", DetectorRecipe), ("prompts", PromptRecipe),
    ("masks", MasksRecipe), ("resynthesis", ResynthesisRecipe), ("comparator", ComparatorRecipe),
    ("unknown", UnknownRecipe),
])  # fmt: skip
def test_every_shipped_recipe_is_valid(prefix, model):
    folder = Path(engine.__file__).parents[1] / "recipes"
    names = [path.stem for path in folder.glob("*.yaml") if path.stem.startswith(prefix)]
    if prefix == "detector":  # those of the methods are tried in `test_run.py`
        names = [prefix]
    assert prefix in names
    for name in names:
        assert isinstance(load_recipe(name, model), model)


def test_all_trainings_by_gradient_descent_share_their_keys():
    shared = set(LoopRecipe.model_fields)
    for model in (
        SegmenterRecipe, PromptRecipe, MasksRecipe, ResynthesisRecipe, ComparatorRecipe, UnknownRecipe
    ):  # fmt: skip
        assert shared <= set(model.model_fields)
    inner = ComparatorRecipe.model_fields
    assert all(shared <= set(type(inner[name].default).model_fields) for name in ("segmenter", "tcp"))
