import pytest
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.core.registry import names
from oodseg.exchange import read
from run_helpers import assert_sentence, save_photos


@pytest.fixture
def results(red, tmp_path):
    save_photos(tmp_path / "photos", 2)
    arguments = [
        "predict",
        str(tmp_path / "photos"),
        "--pipeline",
        str(red),
        "--out",
        str(tmp_path / "found"),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return tmp_path / "found"


def export(*arguments):
    return CliRunner().invoke(app, ["export-labels", *map(str, arguments)])


def test_results_become_labels_and_labels_truth(results, red, tmp_path):
    out = tmp_path / "labels"
    result = export(results, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"wrote COCO instances to {out}" in result.output
    assert [len(image.objects) for image in read(out)] == [1, 1]
    arguments = ["evaluate", str(out), "--pipeline", str(red), "--out", str(tmp_path / "evaluated")]
    result = CliRunner().invoke(app, [*arguments, "--resamples", "2", "--no-report"])
    assert result.exit_code == 0, result.output
    assert "100.0" in result.output  # what was found is its own truth


def test_images_can_be_left_out(results, tmp_path):
    assert export(results, "--out", tmp_path / "labels", "--images", "none").exit_code == 0
    assert not (tmp_path / "labels" / "images").exists()


def test_no_results_are_one_sentence(tmp_path):
    assert_sentence(export(tmp_path, "--out", tmp_path / "labels"), 2, "predictions.json", "oodseg predict")


def test_an_unknown_format_is_one_sentence(results, tmp_path):
    result = export(results, "--out", tmp_path / "labels", "--format", "paint")
    assert_sentence(result, 2, "'paint'", "coco")


def test_help_names_every_format():
    text = CliRunner().invoke(app, ["export-labels", "--help"], env={"COLUMNS": "200"}).output
    assert [name for name in names("formats") if name not in text] == []
