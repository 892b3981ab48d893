import pytest
import torch
from safetensors.torch import load_file

from oodseg import S2M
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.detectors.street import StreetDetector
from oodseg.masks.compact import CompactSegmenter
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from oodseg.segmenters.street import StreetNet
from oodseg.training.assembly import assemble, find_part
from oodseg.training.engine.recipe import Recipe
from oodseg.training.engine.trained import save_trained
from tiny_segmenter import register

READING = Reading((1.0, 0.5, -0.25), {"quiet": 0.3, "balanced": 0.2, "thorough": 0.1})


@pytest.fixture
def runs(tmp_path):
    """What the single trainings leave, untrained."""
    parts = {
        "detector": StreetDetector(
            StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]), statistics={"combined": [0.0, 1.0]}
        ),
        "prompts": FasterRCNNPrompts(score_only=READING),
        "masks": CompactSegmenter(32, 1.5, [4, 8], [1, 1]),
    }
    for name, part in parts.items():
        save_trained(tmp_path / name, name, part, Recipe(), {})
    return tmp_path


def bundle(runs, out):
    return assemble(str(runs / "detector"), str(runs / "prompts"), str(runs / "masks"), out)


def test_the_parts_become_a_pipeline(runs, tmp_path, rng) -> None:
    out = tmp_path / "mine"
    assert bundle(runs, out).name == "mine"
    s2m = S2M.from_pretrained(out)
    assert s2m.name == "mine"
    assert s2m.prompts.score_only == READING
    image = rng.integers(0, 255, (96, 128, 3)).astype("uint8")
    assert s2m(image).mask.shape == (96, 128)
    for name in ("prompts", "masks"):
        before, after = load_file(runs / name / f"{name}.safetensors"), load_file(out / f"{name}.safetensors")
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_part_is_found_in_a_run_in_a_pipeline_or_by_name(runs, tmp_path, red) -> None:
    assert find_part("prompts", str(runs / "prompts")).score_only == READING
    assert find_part("detector", str(red)).name == "redness"
    shipped = find_part("prompts", "street")
    assert (shipped.name, shipped.features) == ("faster_rcnn", (96, 160))
    assert find_part("masks", "grabcut").name == "grabcut"
    mixed = assemble(str(red), str(runs / "prompts"), "box", tmp_path / "mixed")
    assert [each.name for each in (mixed.detector, mixed.prompts, mixed.masks)] == [
        "redness", "faster_rcnn", "box"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="nothing"):
        find_part("masks", "nothing")


def test_a_detector_that_was_never_fitted_makes_no_pipeline(runs, tmp_path, monkeypatch) -> None:
    register(monkeypatch)
    with pytest.raises(ConfigError, match="never fitted"):
        assemble("tiny+energy", str(runs / "prompts"), "box", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_training_that_is_not_finished_is_named(runs, tmp_path) -> None:
    (runs / "masks" / "masks.safetensors").unlink()
    with pytest.raises(WeightsError, match=f"{runs / 'masks'} holds no masks.*train masks"):
        bundle(runs, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
