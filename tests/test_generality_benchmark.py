"""The tables of the paper in miniature: two detectors, one of them taught, on one set of two images."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from oodseg import S2M
from oodseg.core.normalization import ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from oodseg.training.engine.recipe import Recipe
from oodseg.training.engine.trained import save_trained
from training_data import make_training_data

PATH = Path(__file__).parents[1] / "benchmarks" / "generality.py"
DETECTOR = ("sizes=[[64, 96]]", "hidden=8", "max_steps=1", "batch_size=2", "workers=0", "val_scenes=4",
            "val_every_steps=1")  # fmt: skip
PROMPTS = ("sizes=[[64, 96]]", "scenes=8", "val_scenes=8", "max_steps=1", "batch_size=2", "workers=0",
           "val_every_steps=1", "warmup_steps=0", "precision=32-true")  # fmt: skip


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("generality_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    root = make_training_data(tmp_path / "data")
    rng = np.random.default_rng(0)
    for number in range(2):
        folder = root / "benchmarks_dev" / "tiny"
        for kind, pixels in (
            ("images", rng.integers(0, 255, (64, 96, 3), np.uint8)),
            ("labels", np.pad(np.ones((20, 30), np.uint8), ((30, 14), (40, 26)))),
        ):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{number}.png"), pixels)
    return root


@pytest.fixture
def segmenter(tmp_path):
    street = StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval()
    (tmp_path / "segmenter").mkdir()
    save_trained(tmp_path / "segmenter", "segmenter", street, Recipe(), {})
    detector = StreetDetector(street)
    detector.normalizer = ScoreNormalizer()
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "pipeline")
    return tmp_path / "segmenter"


def run(module, data, segmenter, out, capsys, *more):
    changes = [part for each in DETECTOR for part in ("--detector-set", each)]
    changes += [part for each in PROMPTS for part in ("--prompts-set", each)]
    places = ["--data", data, "--out", out, "--segmenter", segmenter, "--threads", "1"]
    places += ["--pipeline", segmenter.parent / "pipeline"]
    module.main([str(each) for each in (*places, *changes, *more)])
    return capsys.readouterr().out


def test_tables_of_two_detectors(module, data, segmenter, tmp_path, capsys):
    shown = run(module, data, segmenter, tmp_path / "out", capsys, "--detectors", "energy,densehybrid")
    assert "tiny: AuIoU / IoU / mean F1, %" in shown
    assert "mean: AuIoU / IoU / mean F1, %" in shown
    assert "S2M, generator of energy" in shown
    assert "densehybrid: S2M: gains" in shown
    assert "S2M, generator of energy: " in shown
    assert "S2M: 0 of 2 gain" in shown
    results = json.loads((tmp_path / "out" / "generality.json").read_text())
    figures = results["densehybrid"]["tiny"]
    assert set(figures) == {"detector", "own", "reused", "auprc"}
    assert all(0 <= value <= 1 for row in ("detector", "own", "reused") for value in figures[row])
    # Both generators learned on the same scenes.
    scenes = [tmp_path / "out" / name / "prompts" / "scenes-train" for name in ("energy", "densehybrid")]
    assert scenes[0].resolve() == scenes[1].resolve()
    assert (tmp_path / "out" / "densehybrid" / "detector" / "detector.safetensors").is_file()


def test_what_is_there_is_taken(module, data, segmenter, tmp_path, capsys, monkeypatch):
    known = {"detector": [0.1, 0.2, 0.1], "own": [0.3, 0.3, 0.4], "reused": [0.25, 0.3, 0.2], "auprc": 0.5}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "generality.json").write_text(json.dumps({"energy": {"tiny": known}}))
    monkeypatch.setattr(module, "evaluate_folder", lambda *given: pytest.fail("measured again"))
    shown = run(module, data, segmenter, tmp_path / "out", capsys, "--detectors", "energy")
    assert "30.0 / 30.0 / 40.0" in shown
    assert "energy: S2M: gains +20.0 AuIoU and +30.0 mean F1" in shown
    assert "energy: S2M, generator of energy: gains +15.0 AuIoU and +10.0 mean F1" in shown
    assert "S2M: 1 of 1 gain 10 points of both on the mean of the sets" in shown


def test_the_generator_of_the_pipeline_alone(module, data, segmenter, tmp_path, capsys):
    options = ("--detectors", "msp", "--reuse", "pipeline", "--only-reused")
    shown = run(module, data, segmenter, tmp_path / "out", capsys, *options)
    assert "msp: S2M, generator of pipeline: gains" in shown
    results = json.loads((tmp_path / "out" / "generality.json").read_text())
    assert set(results["msp"]["tiny"]) == {"detector", "reused", "auprc"}
    assert not (tmp_path / "out" / "msp" / "prompts").exists()


def test_an_unknown_detector_is_named(module, data, segmenter, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(module, data, segmenter, tmp_path / "out", capsys, "--detectors", "energy,peball")
    assert "there is no detector 'peball'; choose of: msp" in capsys.readouterr().err
