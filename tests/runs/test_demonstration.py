import json

import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import WeightsError
from oodseg.core.prediction import Prediction
from oodseg.io.images import read_image
from oodseg.runs.demonstration import Demonstration, SceneResult, compare
from oodseg.synth.demo import draw_scenes
from redness import make_pipeline


def test_writes_scenes_results_and_a_sheet(tmp_path) -> None:
    out = tmp_path / "out"
    shown = oodseg.runs.demonstrate(out, 2, pipeline=make_pipeline())
    for kind in ("images", "masks", "confidence", "overlays"):
        assert sorted(each.stem for each in (out / kind).iterdir()) == ["scene_01", "scene_02"]
    assert read_image(out / "images" / "scene_01.jpg").shape == (720, 1280, 3)
    assert len(json.loads((out / "predictions.json").read_text(encoding="utf-8"))["images"]) == 2
    assert shown.sheet == out / "contact_sheet.png"
    sheet = read_image(shown.sheet)
    assert sheet.shape == (2 * 360 + 3 * 8, 2 * 640 + 3 * 8, 3)
    scene = read_image(out / "images" / "scene_02.jpg")
    assert np.abs(sheet[376:736, 8:648].mean((0, 1)) - scene.mean((0, 1))).max() < 1


def test_a_pipeline_that_knows_everything_finds_everything(tmp_path) -> None:
    """The comparison has to reward a perfect pipeline: one that is handed the truth."""
    truths = iter(draw_scenes(tmp_path / "twin", 3, 5).values())

    def perfect(image):
        truth = next(truths)
        masks = np.stack([truth == index for index in range(1, truth.max() + 1)] or [truth > 0])
        boxes = np.tile([0.0, 0.0, 9.0, 9.0], (len(masks), 1))
        return Prediction.from_masks(masks, boxes, np.full(len(masks), 0.9))

    shown = oodseg.runs.demonstrate(tmp_path / "out", 3, 5, perfect, settings={"pipeline": "perfect"})
    assert shown.scenes["scene_02.jpg"] == SceneResult(0, 0, 0, ())
    assert shown.total.drawn == 5
    for each in shown.scenes.values():
        assert (each.found, each.missed, each.false_alarms) == (each.drawn, 0, 0)
        assert each.best_ious == pytest.approx([1.0] * each.drawn)


def test_unknown_pipeline_is_said_before_anything_is_written(tmp_path) -> None:
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        oodseg.runs.demonstrate(tmp_path / "out", pipeline=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_the_total_adds_up(tmp_path) -> None:
    scenes = {"a": SceneResult(2, 1, 0, (0.8, 0.2)), "b": SceneResult(0, 0, 3, ())}
    assert Demonstration(scenes, tmp_path).total == SceneResult(2, 1, 3, (0.8, 0.2))


def blocks(*boxes):
    truth = np.zeros((20, 40), np.uint8)
    for index, (left, right) in enumerate(boxes, start=1):
        truth[5:15, left:right] = index
    return truth


@pytest.mark.parametrize(("drawn", "outlines", "expected"), [
    ([], [], (0, 0, 0, [])),
    ([], [(0, 10)], (0, 0, 1, [])),
    ([(0, 10)], [], (1, 0, 0, [0])),
    ([(0, 10)], [(0, 10)], (1, 1, 0, [1])),
    ([(0, 10)], [(0, 20)], (1, 1, 0, [0.5])),
    ([(0, 10)], [(0, 21)], (1, 0, 1, [10 / 21])),
    ([(0, 10)], [(0, 10), (0, 9)], (1, 1, 1, [1])),
    ([(0, 10), (20, 30)], [(20, 30), (0, 30)], (2, 1, 1, [1 / 3, 1])),
    ([(0, 10), (10, 20)], [(0, 20), (0, 20)], (2, 2, 0, [0.5, 0.5])),
])  # fmt: skip
def test_comparison(drawn, outlines, expected) -> None:
    masks = [blocks(each) > 0 for each in outlines]
    result = compare(blocks(*drawn), masks)
    assert (result.drawn, result.found, result.false_alarms) == expected[:3]
    assert result.missed == expected[0] - expected[1]
    assert result.best_ious == pytest.approx(expected[3])
