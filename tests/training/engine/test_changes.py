import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from oodseg.core.errors import ConfigError
from oodseg.training.engine.changes import change_recipe, recipe_yaml


class Inner(BaseModel):
    flip: float = 0.5


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = Field(3, ge=1)
    size: tuple[int, int] = (32, 48)
    augment: Inner = Inner()
    name: str = ""


def test_entries_are_changed_in_a_copy():
    recipe = Recipe()
    changed = change_recipe(recipe, ["steps=7", "size=[64, 96]", " augment.flip = 1e-1"])
    assert changed == Recipe(steps=7, size=(64, 96), augment=Inner(flip=0.1))
    assert recipe == Recipe()


@pytest.mark.parametrize(("change", "message"), [
    ("stepz=3", "--set stepz=3 names no entry of the recipe; did you mean steps\\?: .*steps, size, augment"),
    ("augment.flop=3", "names no entry of the recipe; did you mean augment.flip\\?:"),
    ("qqq=3", "names no entry of the recipe: write"),
    ("steps.deep=3", "names no entry"),
    ("steps", "--set steps has no value: write steps=VALUE"),
    ("augment={flip: 1, flip: 0}", "not valid YAML"),
    ("steps=0", "--set steps cannot be used"),
    ("steps=[1", "not valid YAML"),
])  # fmt: skip
def test_what_cannot_be_changed_is_one_sentence(change, message):
    with pytest.raises(ConfigError, match=message):
        change_recipe(Recipe(), [change])


def test_a_written_recipe_is_read_again():
    recipe = Recipe(steps=9, augment=Inner(flip=0.25))
    assert Recipe.model_validate(yaml.safe_load(recipe_yaml(recipe))) == recipe


@pytest.mark.parametrize(("text", "steps"), [("010", 10), ("1_000", 1000), ("0x10", 16), ("1e1", 10)])
def test_numbers_are_read_as_in_files(text, steps):
    assert change_recipe(Recipe(), [f"steps={text}"]).steps == steps


@pytest.mark.parametrize("text", ["12:30", "2026-01-02"])
def test_times_and_dates_are_texts(text):
    assert change_recipe(Recipe(), [f"name={text}"]).name == text
