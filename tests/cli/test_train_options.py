import pytest

from oodseg.cli.train_options import as_changes, entries
from oodseg.core.errors import ConfigError
from oodseg.training.engine.changes import change_recipe
from oodseg.training.masks import MasksRecipe
from oodseg.training.segmenter import SegmenterRecipe


def test_options_become_entries_of_the_recipe():
    given = {"devices": 2, "strategy": "ddp", "num_nodes": None, "more_objects": ["a b/picks.json"]}
    changes = as_changes(given, set(SegmenterRecipe.model_fields))
    assert changes == ["devices=2", 'strategy="ddp"', 'mix.more_objects=["a b/picks.json"]']
    changed = change_recipe(SegmenterRecipe(max_steps=1), changes)
    assert (changed.devices, changed.strategy) == (2, "ddp")
    assert changed.mix.made().more_objects == ("a b/picks.json",)
    assert SegmenterRecipe(max_steps=1).mix.made().more_objects == ()


def test_masks_learn_on_mined_objects_without_a_mix():
    changes = as_changes({"more_objects": ["corrected"]}, set(MasksRecipe.model_fields))
    assert change_recipe(MasksRecipe(), changes).more_objects == ["corrected"]
    with pytest.raises(ConfigError, match="--more-negatives"):
        as_changes({"more_negatives": ["corrected"]}, set(MasksRecipe.model_fields))


def test_what_is_fitted_has_no_processes():
    with pytest.raises(ConfigError, match="--num-nodes has no meaning here"):
        as_changes({"num_nodes": 2}, {"seed", "mix"})
    assert entries(False, False) == {}
    assert set(entries(True, True)) == {"devices", "strategy", "num_nodes", "more_objects", "more_negatives"}


def test_composition_names_mined_things_only_where_there_are_some():
    plain = SegmenterRecipe(max_steps=1)
    assert "mined" not in plain.mix.composition()
    changed = change_recipe(plain, ["mix.more_negatives=[x]"])
    assert changed.mix.composition()["more_negatives"] == ["x"]
