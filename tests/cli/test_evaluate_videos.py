"""`oodseg evaluate --fps`: sequences with identities."""

import cv2
import numpy as np
from typer.testing import CliRunner

from oodseg.cli.main import app
from redness import HEIGHT, WIDTH, save_street
from run_helpers import assert_sentence


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "250"})


def test_tracks_are_measured(red, tmp_path):
    for number in range(3):
        save_street(tmp_path / "a" / "images" / f"{number}.png", (20, 30, 60, 70))
        label = np.zeros((HEIGHT, WIDTH), np.uint8)
        label[30:70, 20:60] = 1
        (tmp_path / "a" / "labels").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "a" / "labels" / f"{number}.png"), label)
    result = run(tmp_path / "a", "--fps", 10, "--pipeline", red, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    shown = [line.split() for line in result.output.splitlines()]
    assert ["identity", "switches", "0"] in shown
    assert ["true", "objects", "1"] in shown
    assert f"wrote {tmp_path / 'out' / 'track_metrics.json'}" in result.output


def test_options_that_measure_images_are_refused(tmp_path):
    for option in (["--limit", "3"], ["--preset", "paper"], ["--explain"], ["--gated"]):
        result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--fps", "5", *option])
        assert_sentence(result, 2, "measures images, not the tracks of --fps")


def test_a_folder_without_labels_is_one_sentence(red, tmp_path):
    save_street(tmp_path / "a" / "images" / "1.png")
    assert_sentence(run(tmp_path / "a", "--fps", 10, "--pipeline", red), 2, "holds no labels")
