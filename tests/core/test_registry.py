"""Parts of other packages, found by their entry points: every feature, the command line included."""

import json
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

import redness
from oodseg import S2M
from oodseg.cli.main import app
from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.parts import describe
from oodseg.core.registry import maker_of, names, resolve

PACKAGE = """
import torch

from oodseg.core.parts import Detector, PromptableSegmenter, PromptGenerator, Segmenter
from oodseg.core.values import BoxPrompts, Segmentation


class Blueness(Detector):
    name = "blueness"

    def __init__(self, source, gain=1.0):
        self.source, self.gain = source, gain

    def score(self, images):
        return self.gain * (images[:, 2] - images[:, :2].amax(1))


class Middle(PromptGenerator):
    name = "middle"

    def propose(self, scores, features=None, operating_point="quiet"):
        height, width = scores.shape[1:]
        box = torch.tensor([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]])
        return [BoxPrompts(box, torch.tensor([0.75])) for _ in scores]


class Dots(PromptableSegmenter):
    name = "dots"

    def embed(self, image):
        return image.shape[1:]

    def segment(self, embedding, boxes, scores=None):
        masks = torch.zeros((len(boxes), *embedding), dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, boxes.int().tolist()):
            mask[(y0 + y1) // 2, (x0 + x1) // 2] = True
        return masks


class Colours(Segmenter):
    name = "colours"
    classes = ("red", "green", "blue")

    def segment(self, images):
        return Segmentation(images)


def gap(logits, power=1.0):
    first, second = logits.topk(2, 1).values.unbind(1)
    return -((first - second) ** power)
"""
POINTS = """
[oodseg.detectors]
blueness = foreign_parts:Blueness
[oodseg.prompts]
middle = foreign_parts:Middle
[oodseg.masks]
dots = foreign_parts:Dots
[oodseg.segmenters]
colours = foreign_parts:Colours
[oodseg.scores]
gap = foreign_parts:gap
"""


@pytest.fixture
def _foreign(tmp_path, monkeypatch):
    """A package that somebody else installed."""
    site = tmp_path / "site"
    about = site / "foreign_parts-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "foreign_parts.py").write_text(textwrap.dedent(PACKAGE))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-parts\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(site)


@pytest.mark.usefixtures("_foreign")
def test_words_name_foreign_parts():
    detector = build("detectors", "blueness:X")
    assert describe(detector) == {"name": "blueness", "source": "X", "gain": 1.0}
    assert "blueness" in names("detectors")
    with pytest.raises(ConfigError, match="'blueness' among the detectors needs a source"):
        build("detectors", "blueness")
    assert build("prompts", "middle").name == "middle"
    mixed = build("detectors", "colours+gap")
    assert describe(mixed)["segmenter"] == {"name": "colours"}
    assert describe(mixed)["score"] == {"name": "gap"}
    spec = {"name": "logit", "segmenter": "colours", "score": {"name": "gap", "power": 2.0}}
    assert describe(build("detectors", spec))["score"] == {"name": "gap", "power": 2.0}


@pytest.mark.usefixtures("_foreign")
def test_a_pipeline_of_foreign_parts_is_fitted_saved_and_loaded(tmp_path):
    s2m = S2M(build("detectors", "blueness:X"), build("prompts", "middle"), build("masks", "dots"))
    image = redness.street((10, 20, 40, 50))
    with pytest.raises(ConfigError, match=r"'blueness' was never fitted: .* `oodseg fit` or `S2M.fit`"):
        s2m(image)
    s2m.fit([image])
    s2m.save_pretrained(tmp_path / "p")
    config = json.loads((tmp_path / "p" / "config.json").read_text())
    assert config["detector"].keys() == {"name", "source", "gain", "normalizer"}
    again = S2M.from_pretrained(tmp_path / "p")
    assert again.detector.normalizer == s2m.detector.normalizer
    found, expected = again(image), s2m(image)
    assert np.array_equal(found.mask, expected.mask)
    assert found.mask.sum() == 1


@pytest.mark.usefixtures("_foreign")
def test_the_command_line_takes_them(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    red = redness.save_pipeline(tmp_path / "red")
    photo = redness.save_street(tmp_path / "photos" / "1.png", (20, 30, 60, 70))
    words = ["--pipeline", red, "--detector", "blueness:X", "--prompts", "middle", "--masks", "dots"]
    arguments = [str(each) for each in ("predict", photo, "--out", tmp_path / "out", *words)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (found,) = json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"]
    assert found["area"] == 1


def test_a_registry_may_hold_the_thing_itself():
    assert resolve({"x": dict}, "things", "x") is dict
    with pytest.raises(ConfigError, match="no 'y' among the things; choose one of: x"):
        resolve({"x": dict}, "things", "y")


def test_a_function_among_the_scores_becomes_a_part():
    assert maker_of("scores", "energy")(temperature=2.0).config == {"temperature": 2.0}


def test_a_folder_in_the_place_of_a_name_says_where_it_belongs(tmp_path):
    with pytest.raises(ConfigError, match=r"as in segformer:FOLDER, one of `oodseg train` first goes into"):
        resolve({"x": dict}, "things", str(tmp_path))
