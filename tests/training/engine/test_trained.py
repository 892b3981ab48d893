import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from oodseg.core.errors import WeightsError
from oodseg.failures.spade import SpadeGenerator
from oodseg.masks.compact import CompactSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.training.engine.recipe import Recipe
from oodseg.training.engine.trained import (
    load_trained,
    read_metrics,
    read_note,
    save_metrics,
    save_trained,
)


def masks():
    torch.manual_seed(0)
    return CompactSegmenter(32, 1.5, [4, 8], [1, 1])


def test_what_was_trained_loads_again(tmp_path):
    part = masks()
    done = save_trained(tmp_path, "masks", part, Recipe(seed=3), {"val/iou": 0.5}, hours=1.5)
    assert done.path == tmp_path / "masks.safetensors"
    assert done.metrics == read_metrics(tmp_path)
    assert done.metrics["recipe"] == {"seed": 3}
    assert done.metrics["validation"] == {"val/iou": 0.5}
    assert done.metrics["hours"] == 1.5
    assert done.metrics["parameters"] == sum(each.numel() for each in part.parameters())
    again = load_trained(tmp_path, "masks")
    assert again.config == part.config
    assert not again.training
    for name, value in part.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.half().float()), name
    assert [each.name for each in sorted(tmp_path.iterdir())] == ["masks.safetensors", "metrics.json"]


def test_weights_are_float16_but_for_exact_ones(tmp_path):
    part, exact = masks(), "head.bias"
    path = save_trained(tmp_path, "masks", part, Recipe(), {}, exact=[exact]).path
    with safe_open(path, "pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds.pop(exact) == torch.float32
    assert {each for each in kinds.values() if each.is_floating_point} == {torch.float16}


def test_a_part_that_no_pipeline_names_and_notes_beside_it(tmp_path):
    part = SpadeGenerator(3, [8, 8, 4], 32)
    done = save_trained(tmp_path, "resynthesis", part, Recipe(), {}, notes={"classes": ["road", "car"]})
    assert load_trained(tmp_path, "resynthesis", SpadeGenerator).config == part.config
    assert read_note(done.path, "classes") == ["road", "car"]


def test_a_part_without_weights(tmp_path):
    save_trained(tmp_path, "prompts", ComponentPrompts(threshold=2.5), Recipe(), {})
    assert load_trained(tmp_path, "prompts").threshold == 2.5


def test_json_knows_no_nan(tmp_path):
    save_metrics(tmp_path, Recipe(), {"a": float("nan"), "b": [1.0, float("inf")]}, more=(0.5,))
    found = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert found == {"recipe": {"seed": 0}, "validation": {"a": None, "b": [1.0, None]}, "more": [0.5]}


def test_what_is_not_finished_or_damaged_is_named(tmp_path):
    with pytest.raises(WeightsError, match=f"{tmp_path} holds no masks.safetensors: .*`oodseg train masks`"):
        load_trained(tmp_path, "masks")
    with pytest.raises(WeightsError, match="holds no finished training"):
        read_metrics(tmp_path)
    for content in (b"", b"not safetensors at all"):
        (tmp_path / "masks.safetensors").write_bytes(content)
        with pytest.raises(
            WeightsError, match=r"masks\.safetensors is not a complete weight file of a training"
        ):
            load_trained(tmp_path, "masks")


@pytest.mark.parametrize("config", [{"size": 32}, {"name": "compact", "colour": 3}, {"name": "none"}])
def test_settings_of_another_version_are_named(tmp_path, config):
    header = {"part": "masks", "config": json.dumps(config)}
    save_file({"a": torch.ones(1)}, tmp_path / "masks.safetensors", metadata=header)
    with pytest.raises(
        WeightsError, match=r"masks\.safetensors do not fit this oodseg .*train that part again"
    ):
        load_trained(tmp_path, "masks")
