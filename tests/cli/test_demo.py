import io
import json
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from oodseg import S2M
from oodseg.cli import demo as module
from oodseg.cli.demo import SceneResult, compare, demo, draw_scenes, result_table
from oodseg.core.errors import WeightsError
from oodseg.detectors.street import StreetDetector
from oodseg.io.images import read_image
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts

TINY = {"widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1]}


@pytest.fixture
def pipeline(tmp_path):
    folder = tmp_path / "tiny"
    S2M(StreetDetector(TINY), ComponentPrompts(), BoxSegmenter()).save_pretrained(folder)
    return folder


def run(*arguments):
    app = typer.Typer()
    app.command()(demo)
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def test_writes_scenes_results_and_a_sheet(pipeline, tmp_path) -> None:
    out = tmp_path / "out"
    done = run("--out", out, "--count", 2, "--pipeline", pipeline)
    assert done.exit_code == 0
    for kind in ("pictures", "masks", "confidence", "overlays"):
        assert sorted(each.stem for each in (out / kind).iterdir()) == ["scene_01", "scene_02"]
    assert read_image(out / "pictures" / "scene_01.jpg").shape == (720, 1280, 3)
    assert len(json.loads((out / "predictions.json").read_text(encoding="utf-8"))["images"]) == 2
    sheet = read_image(out / "contact_sheet.png")
    assert sheet.shape == (2 * 360 + 3 * 8, 2 * 640 + 3 * 8, 3)
    picture = read_image(out / "pictures" / "scene_02.jpg")
    assert np.abs(sheet[376:736, 8:648].mean((0, 1)) - picture.mean((0, 1))).max() < 1
    for words in (
        "scene_01.jpg",
        "scene_02.jpg",
        "all",
        "predict PATH/TO/PICTURES",
        str(out / "contact_sheet.png"),
    ):
        assert words in done.output


def test_a_pipeline_that_knows_everything_finds_everything(tmp_path, monkeypatch) -> None:
    """The comparison has to reward a perfect pipeline: one that is handed the truth."""
    from oodseg.core.prediction import Prediction

    truths = iter(draw_scenes(tmp_path / "twin", 3, 5).values())

    def perfect(image):
        truth = next(truths)
        masks = np.stack([truth == index for index in range(1, truth.max() + 1)] or [truth > 0])
        boxes = np.tile([0.0, 0.0, 9.0, 9.0], (len(masks), 1))
        return Prediction.from_masks(masks, boxes, np.full(len(masks), 0.9))

    monkeypatch.setattr(module, "load_pipeline", lambda name: perfect)
    monkeypatch.setattr(module, "pipeline_identity", lambda name: "none")
    shown = {}
    monkeypatch.setattr(module, "result_table", lambda results: shown.update(results) or "")
    assert run("--out", tmp_path / "out", "--count", 3, "--seed", 5).exit_code == 0
    assert shown["scene_02.jpg"] == SceneResult(0, 0, 0, ())
    assert sum(each.drawn for each in shown.values()) == 5
    for each in shown.values():
        assert (each.found, each.missed, each.false_alarms) == (each.drawn, 0, 0)
        assert each.overlaps == pytest.approx([1.0] * each.drawn)


def test_unknown_pipeline_is_said_before_anything_is_written(tmp_path) -> None:
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        run("--out", tmp_path / "out", "--pipeline", tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_scenes_are_decided_by_their_seed(tmp_path) -> None:
    first, again, other = (
        draw_scenes(tmp_path / name, 2, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert [each.read_bytes() for each in first] == [each.read_bytes() for each in again]
    assert [each.read_bytes() for each in first] != [each.read_bytes() for each in other]
    assert not list(first.values())[1].any()
    assert next(iter(first.values())).max() == 2


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
    assert result.overlaps == pytest.approx(expected[3])


def test_the_last_line_sums_up() -> None:
    from rich.console import Console

    table = result_table({"a": SceneResult(2, 1, 0, (0.8, 0.2)), "b": SceneResult(0, 0, 3, ())})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    rows = [line.split() for line in console.export_text().splitlines()]
    cells = [[each for each in row if each not in "│┃|"] for row in rows]
    assert ["all", "2", "1", "1", "3", "0.50"] in cells
    assert ["b", "0", "0", "0", "3", "-"] in cells


def test_says_how_this_program_was_called(monkeypatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/oodseg"])
    assert module._command() == ".venv/bin/oodseg"
    monkeypatch.setattr(module.shutil, "which", lambda name: ".venv/bin/oodseg")
    assert module._command() == "oodseg"
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    assert module._command() == "oodseg"
