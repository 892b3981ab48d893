"""`oodseg predict` with parts that are typed or written in YAML."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import redness
import tiny_models
from oodseg.cli.main import app

BOX = (20, 30, 60, 70)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.save("segformer", tmp_path_factory.mktemp("segformer"))


@pytest.fixture
def red(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    return redness.save_pipeline(tmp_path / "red")


@pytest.fixture
def photo(tmp_path):
    return redness.save_street(tmp_path / "photos" / "1.png", BOX)


def run(out, photo, *arguments):
    arguments = ["predict", photo, "--out", out, "--confidence-format", "npy", *arguments]
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "300"})
    assert "Traceback" not in result.output
    return result


def results(out):
    coco = json.loads((out / "predictions.json").read_text())
    maps = sorted(out.rglob("*.npy"))
    assert maps
    return coco["annotations"], [np.load(each, allow_pickle=False) for each in maps]


def assert_same(one, other):
    found, expected = results(one), results(other)
    assert [each["bbox"] for each in found[0]] == [each["bbox"] for each in expected[0]]
    for left, right in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(left, right)


def test_line_and_yaml_give_the_same(tmp_path, red, photo, folder):
    line = run(
        tmp_path / "a",
        photo,
        "--pipeline",
        red,
        "--detector",
        f"segformer:{folder}+energy",
        "--masks",
        "grabcut",
    )
    assert line.exit_code == 0, line.output
    assert "fitted on 1 of these images" in line.output
    assert "`oodseg fit`" in line.output

    part = tmp_path / "detector.yaml"
    part.write_text(f"name: logit\nsegmenter:\n  name: segformer\n  source: {folder}\nscore: energy\n")
    by_part = run(tmp_path / "b", photo, "--pipeline", red, "--detector", part, "--masks", "grabcut")
    assert by_part.exit_code == 0, by_part.output
    assert_same(tmp_path / "b", tmp_path / "a")

    whole = tmp_path / "pipeline.yaml"
    whole.write_text(
        f"pipeline: {red}\nmasks: grabcut\n"
        f"detector:\n  name: logit\n  segmenter: segformer:{folder}\n  score: energy\n"
    )
    by_file = run(tmp_path / "c", photo, "--config", whole)
    assert by_file.exit_code == 0, by_file.output
    assert_same(tmp_path / "c", tmp_path / "a")


def test_what_is_typed_wins_over_the_file(tmp_path, red, photo, folder):
    whole = tmp_path / "pipeline.yaml"
    whole.write_text(f"pipeline: {tmp_path / 'nowhere'}\nmasks: nothing\n")
    result = run(tmp_path / "out", photo, "--config", whole, "--pipeline", red, "--masks", "box")
    assert result.exit_code == 0, result.output
    assert "fitted on" not in result.output


def test_a_default_that_is_typed_wins_too(tmp_path, red, photo, monkeypatch):
    """`street` is the default, so that its value alone does not tell whether the user gave it."""
    whole = tmp_path / "pipeline.yaml"
    whole.write_text(f"pipeline: {red}\n")

    def pipeline(out, *arguments):
        assert run(out, photo, "--config", whole, *arguments).exit_code == 0
        return json.loads((out / "predictions.json").read_text())["info"]["settings"]["pipeline"]

    assert pipeline(tmp_path / "a") == str(red)
    assert pipeline(tmp_path / "b", "--pipeline", "street") == "street"


def test_done_images_are_done_unless_the_part_changes(tmp_path, red, photo, folder):
    typed = ["--pipeline", red, "--detector", f"segformer:{folder}+energy"]
    run(tmp_path / "out", photo, *typed)
    assert "done before" in run(tmp_path / "out", photo, *typed).output
    other = run(tmp_path / "out", photo, "--pipeline", red, "--detector", f"segformer:{folder}+msp")
    assert "done before" not in other.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--detector", "segformer:nvidia/segformer-b1-finetuned-cityscapes-1024-1024+energy"],
            "hf download",
        ),
        (["--detector", "segformer:./nowhere+energy"], "there is no folder ./nowhere"),
        (["--detector", "segformr:x+energy"], "no 'segformr' among the segmenters"),
        (["--masks", "grabcut:x"], "no option 'source'"),
        (["--config", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_faults_are_one_sentence(tmp_path, red, photo, arguments, words):
    result = run(tmp_path / "out", photo, "--pipeline", red, *arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output


def test_unreadable_images_are_named_one_by_one(tmp_path, red, folder):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.png").write_bytes(b"no image")
    result = run(tmp_path / "out", photos, "--pipeline", red, "--detector", f"segformer:{folder}+energy")
    assert result.exit_code == 1, result.output
    assert "failed" in result.output
    assert "fitted on" not in result.output
