import io
import sys
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from oodseg.cli import demo as module
from oodseg.cli.demo import result_table
from oodseg.cli.main import app
from oodseg.runs.demonstration import Demonstration, SceneResult
from run_helpers import assert_sentence


def test_says_what_was_found_and_where_it_lies(red, tmp_path) -> None:
    options = ["--out", tmp_path / "out", "--count", 2, "--seed", 3, "--pipeline", red]
    done = CliRunner().invoke(app, ["demo", *map(str, options)], env={"COLUMNS": "200"})
    sheet = tmp_path / "out" / "contact_sheet.png"
    assert_sentence(done, 0, "scene_01.jpg", "scene_02.jpg", "all", "predict PATH/TO/IMAGES", sheet)
    assert sheet.is_file()


def test_an_unknown_pipeline_is_one_sentence(tmp_path) -> None:
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "out"), "--pipeline", "nowhere"])
    assert_sentence(done, 2, "nowhere does not exist")
    assert not (tmp_path / "out").exists()


def test_the_last_line_sums_up() -> None:
    scenes = {"a": SceneResult(2, 1, 0, (0.8, 0.2)), "b": SceneResult(0, 0, 3, ())}
    table = result_table(Demonstration(scenes, Path("sheet.png")))
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
