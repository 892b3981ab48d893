"""The oracle's stand-ins for perfect stages; its tables need data and are not run here."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from oodseg import S2M
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet

PATH = Path(__file__).parents[1] / "benchmarks" / "oracle.py"
TINY = {"widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1]}
NEUTRAL = {"combined": [0.0, 1.0]}


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("oracle_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def case(module):
    objects = [np.zeros((96, 128), bool) for _ in range(2)]
    objects[0][20:50, 10:40] = True
    objects[0][30:40, 20:30] = False
    objects[1][60:90, 80:120] = True
    label = np.any(objects, axis=0).astype(np.uint8)
    return module.Case(np.full((96, 128, 3), 90, np.uint8), label, objects)


@pytest.fixture
def oracle(module, tmp_path):
    from PIL import Image

    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{seed}.png")
    pipeline = S2M(
        StreetDetector(StreetNet(**TINY), statistics=NEUTRAL),
        ComponentPrompts(2.0, min_area=20),
        BoxSegmenter(),
    )
    return module.Oracle(pipeline, tmp_path)


def test_perfect_masks(module, case) -> None:
    truth = torch.tensor([[10.0, 20, 40, 50], [80, 60, 120, 90]])
    boxes = torch.tensor([[12.0, 18, 42, 50], [60, 2, 70, 9]])
    fits, strange = module.perfect_masks(case, truth, boxes)
    np.testing.assert_array_equal(fits, case.objects[0])
    assert strange.sum() == 70
    assert strange[2:9, 60:70].all()
    assert module.perfect_masks(case, truth, boxes[:0]).shape == (0, 96, 128)


def test_a_true_score_raises_the_objects_alone(module, oracle, case) -> None:
    oracle.level = 8.0
    score = oracle.true_score(case, torch.zeros(96, 128)).numpy()
    assert score[65:85, 85:115].mean() == pytest.approx(8.0, abs=1.0)
    assert score[case.label == 0].max() < score[65:85, 85:115].min()


def test_rows_of_true_stages_are_perfect(module, oracle, case) -> None:
    oracle.level = 8.0
    tallies = {name: module.Tally() for name in module.ROWS}
    oracle.measure(case, tallies)
    recall, boxes = tallies["true boxes"].values()[3:]
    assert (recall, boxes) == (100.0, 2.0)
    # Filled boxes: what is missing is the hole of the first object.
    assert tallies["true boxes"].values()[1] == pytest.approx(100 * 2000 / 2100, abs=0.1)
    assert tallies["true score, true masks"].values()[1] == pytest.approx(100.0)


def test_shipped_boxes_are_the_pipelines_own(oracle, module, case) -> None:
    """With the features behind the scores and at the pipeline's operating point; true scores have none."""
    shown = []

    class Watching(ComponentPrompts):
        def propose(self, scores, features=None, operating_point="quiet"):
            shown.append((features is not None, operating_point))
            return super().propose(scores)

    oracle.pipeline.operating_point = "balanced"
    oracle.prompts["shipped"] = Watching(2.0, min_area=20)
    oracle.level = 8.0
    oracle.measure(case, {name: module.Tally() for name in module.ROWS})
    rows = [score for score, prompts, _ in module.ROWS.values() if prompts == "shipped"]
    assert shown == [(score == "shipped", "balanced") for score in rows]
