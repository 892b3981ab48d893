"""Every registered part is built again by its own description."""

import json
import shutil

import pytest
import torch

import tiny_models
from failure_parts import make_comparator, make_detectors, make_generator, make_segmenter
from oodseg.core.base import Part, describe
from oodseg.core.build import construct
from oodseg.core.errors import ConfigError
from oodseg.core.registry import table
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.street import StreetDetector
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.masks.compact import CompactSegmenter
from oodseg.masks.everything import EverythingSegmenter
from oodseg.masks.grabcut import GrabCutSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.prompts.detectron2 import DetectronPrompts
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.reading import Reading
from oodseg.segmenters.given import GivenLabels
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble
from oodseg.segmenters.tiled import TiledSegmenter

POINTS = {"quiet": 0.3, "balanced": 0.2, "thorough": 0.1}


def street():
    return StreetNet([4, 4, 8, 8, 8], [1, 1, 1, 1], classes=["drivable", "car", "sky"])


HERE = {
    "detectors": {
        "street": lambda: StreetDetector(
            street(),
            {"objectness": 1.0, "energy": 0.5},
            {"energy": [1.0, 2.0], "combined": [0.5, 3.0]},
            [1, 2],
            0.25,
        ),
        "logit": lambda: LogitDetector(
            TiledSegmenter(street(), 64, 0.5, [0.5, 1]), {"name": "sml", "dilation": 2}, 1.0
        ),
        "synthcp": lambda: SynthCPDetector(
            segmenter=make_segmenter(),
            generator=make_generator(),
            comparator=make_comparator(),
            threshold=0.5,
        ),
    },
    "segmenters": {
        "street": street,
        "street_ensemble": lambda: StreetEnsemble([street(), street()]),
        "tiled": lambda: TiledSegmenter(street(), window=96),
        "given": lambda: GivenLabels(["a", "b"], (-100, 240)),
    },
    "prompts": {
        "components": lambda: ComponentPrompts(2.5, 9, 7),
        "faster_rcnn": lambda: FasterRCNNPrompts(
            nms=0.4, features=[4, 6], with_features=Reading((1.0, 0.5, -0.5), POINTS), score_only=Reading()
        ),
        "detectron2": lambda: DetectronPrompts(mean=-3.0, std=1.5, stride_in_1x1=False),
    },
    "masks": {
        "compact": lambda: CompactSegmenter(32, 1.25, [4, 8], [1, 1], use_scores=False),
        "grabcut": lambda: GrabCutSegmenter(120, 3),
        "box": BoxSegmenter,
    },
}
JUDGES = {each.name: each for each in make_detectors()}


def same_again(room, part):
    described = json.loads(json.dumps(describe(part)))
    again = construct(room, described, weights_follow=True)
    assert type(again) is type(part)
    assert describe(again) == described
    if isinstance(part, torch.nn.Module):
        again.load_state_dict(part.state_dict())
    return again


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, parts in HERE.items() for name in parts])
def test_parts_of_this_package(room, name):
    part = HERE[room][name]()
    assert part.name == name
    assert isinstance(part, Part)
    same_again(room, part)


@pytest.mark.parametrize("name", JUDGES)
def test_judges(name):
    same_again("failures", JUDGES[name])


SCORE_OPTIONS = {
    "entropy": {"normalized": True},
    "energy": {"temperature": 2.0},
    "sml": {"boundary_width": 2, "dilation": 3},
    "mahalanobis": {"shrinkage": 0.01},
    "maskomaly": {"quiet": 0.02},
    "mask2anomaly": {"background": [0]},
}


@pytest.mark.parametrize("name", sorted(table("scores")))
def test_scores(name):
    options = SCORE_OPTIONS.get(name, {})
    score = construct("scores", {"name": name, **options}, weights_follow=False)
    assert describe(same_again("scores", score)) == {"name": name, **options} | describe(score)


@pytest.mark.parametrize(
    "family", ["segformer", "upernet", "dpt", "mask2former", "maskformer", "oneformer", "eomt"]
)
def test_segmenters_of_a_hub(family, tmp_path):
    folder = tiny_models.save(family, tmp_path)
    part = construct("segmenters", {"name": family, "source": str(folder)}, weights_follow=False)
    assert describe(same_again("segmenters", part)) == {
        "name": family,
        "source": str(folder),
        "revision": None,
    }


def test_all_instances_of_a_mask_classifier(tmp_path):
    folder = tiny_models.save("mask2former", tmp_path)
    same_again("masks", EverythingSegmenter(f"mask2former:{folder}"))
    shutil.rmtree(folder)


def test_every_part_has_a_round_trip():
    """The others have theirs where their files are made: networks of files, what learns from outliers."""
    elsewhere = {
        "segmenters": {"segformer", "upernet", "dpt", "mask2former", "maskformer", "oneformer", "eomt"}
        | {"onnx", "torchvision", "deepwv3plus"},
        "detectors": {"meta_ood", "energy_margin", "pebal", "rpl", "densehybrid", "synboost"}
        | {"mask2anomaly", "rba"},
        "masks": {"everything", "sam", "sam_hq", "sam2", "edgetam", "sam3", "fastsam", "sam_onnx"},
    }
    for room, parts in HERE.items():
        assert set(parts) | elsewhere.get(room, set()) == set(table(room))
    assert set(JUDGES) | {"consistency"} == set(table("failures"))  # which nothing is trained for


class Forgetful(BoxSegmenter):
    name = "forgetful"

    def __init__(self, size):
        self.other = size


class Odd(BoxSegmenter):
    name = "odd"

    def __init__(self, size):
        self.size = size


def test_an_argument_that_is_kept_nowhere_or_cannot_be_written():
    with pytest.raises(ConfigError, match=r"'forgetful' does not keep every argument .*'size'"):
        describe(Forgetful(3))
    with pytest.raises(ConfigError, match="a object cannot be written to a file of settings"):
        describe(Odd(object()))


def test_changing_an_attribute_changes_what_is_saved():
    part = GrabCutSegmenter()
    part.iterations = 9
    assert part.config["iterations"] == 9
