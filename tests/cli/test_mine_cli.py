import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.core.normalization import ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
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


@pytest.fixture
def tiny(tmp_path):
    detector = StreetDetector(StreetNet(widths=[4, 6, 8, 8, 12], depths=[1, 1, 1, 1]))
    detector.normalizer = ScoreNormalizer()
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def mine(*arguments):
    return CliRunner().invoke(app, ["mine", *map(str, arguments)])


def test_results_become_a_gallery(results, tiny, tmp_path):
    out = tmp_path / "mined"
    result = mine(results, "--out", out, "--encoder", tiny)
    assert result.exit_code == 0, result.output
    assert f"wrote {out / 'index.html'}" in result.output
    facts = [line.split() for line in result.output.splitlines()]
    assert ["near-duplicates", "1"] in facts
    assert len(json.loads((out / "mined.json").read_text())["objects"]) == 1  # both images are the same
    kept = mine(results, "--out", out, "--encoder", tiny, "--duplicates", "2")
    assert kept.exit_code == 0, kept.output
    assert "done before" in kept.output
    assert len(json.loads((out / "mined.json").read_text())["objects"]) == 2


def test_an_example_is_taken(results, tiny, tmp_path):
    Image.fromarray(np.full((30, 30, 3), 200, np.uint8)).save(tmp_path / "sofa.png")
    result = mine(results, "--out", tmp_path / "mined", "--encoder", tiny, "--like", tmp_path / "sofa.png")
    assert result.exit_code == 0, result.output
    assert "similarity" in result.output


def test_a_missing_image_is_named(results, tiny, tmp_path):
    (tmp_path / "photos" / "1.png").unlink()
    result = mine(results, "--out", tmp_path / "mined", "--encoder", tiny)
    assert_sentence(result, 1, "failed: the image 1.png of the results is gone: put it back", "kept")


@pytest.mark.parametrize(
    ("encoder", "word"),
    [("timm:nosuchnet", "timm has no encoder 'nosuchnet'"), ("nowhere", "nowhere")],
)
def test_an_unknown_encoder_is_one_sentence(results, tmp_path, encoder, word):
    assert_sentence(mine(results, "--out", tmp_path / "mined", "--encoder", encoder), 2, word)


def test_no_results_are_one_sentence(tmp_path):
    assert_sentence(mine(tmp_path, "--out", tmp_path / "mined"), 2, "predictions.json", "oodseg predict")
