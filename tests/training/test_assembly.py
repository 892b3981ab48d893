import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from oodseg import S2M
from oodseg.core.errors import WeightsError
from oodseg.core.files import write_json
from oodseg.detectors.street import StreetDetector
from oodseg.masks.compact import CompactSegmenter
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts, Reading
from oodseg.segmenters.street import StreetNet
from oodseg.training.assembly import assemble, finished
from oodseg.training.common import save_weights

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
        (tmp_path / name).mkdir()
        save_weights(
            part.state_dict(), tmp_path / name / f"{name}.safetensors", {"config": json.dumps(part.config)}
        )
    write_json(tmp_path / "detector" / "detector.json", {"config": parts["detector"].config})
    return tmp_path


def bundle(runs, out):
    return assemble(runs / "detector", runs / "prompts", runs / "masks", out)


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


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_damaged_file_is_named(runs, tmp_path, content) -> None:
    Path(runs / "masks" / "masks.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"masks\.safetensors is no whole weight file"):
        bundle(runs, tmp_path / "mine")


def test_a_training_that_is_not_finished_is_named(tmp_path) -> None:
    with pytest.raises(WeightsError, match=f"{tmp_path} holds no masks.*train masks"):
        finished(tmp_path, "masks")
