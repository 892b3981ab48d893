import numpy as np
import pytest
import torch

from oodseg.core.build import build_segmenter
from oodseg.detectors import ScoreNormalizer
from oodseg.failures.storage import (
    bundled_failure_detectors,
    find_failure_detector,
    load_failure_detector,
)
from oodseg.failures.synthcp import SynthCP
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.io.images import to_tensor
from oodseg.segmenters.given import GivenLabels
from oodseg.synth.drawn import draw_scene

MOST, MOST_OF_GENERATOR, MOST_OF_SCANS = 25e6, 20e6, 4e6  # bytes


@pytest.fixture(scope="module")
def scene():
    return draw_scene(np.random.default_rng(3), (180, 240), 1)


def test_street_ships_and_is_small() -> None:
    assert "street" in bundled_failure_detectors()
    folder = find_failure_detector("street")
    assert sum(each.stat().st_size for each in folder.iterdir()) <= MOST
    generator = load_failure_detector("street").generator
    assert 2 * sum(each.numel() for each in generator.parameters()) <= MOST_OF_GENERATOR
    assert "oodseg train comparator" in (folder / "README.md").read_text(encoding="utf-8")


def test_hippocampus_ships_and_is_small() -> None:
    folder = find_failure_detector("hippocampus")
    assert sum(each.stat().st_size for each in folder.iterdir()) <= MOST_OF_SCANS
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "CC BY-SA 4.0" in card
    assert "oodseg train volumes" in card
    detector = load_failure_detector("hippocampus")
    assert isinstance(detector, SynthCP)
    assert isinstance(detector.segmenter, GivenLabels)
    assert detector.classes == ("background", "anterior", "posterior")
    promised = detector.structure_intervals
    assert promised is not None
    assert set(promised.reach) == {"anterior", "posterior"}


def test_it_judges_a_street(scene) -> None:
    detector = load_failure_detector("street")
    assert isinstance(detector, SynthCP)
    found = detector.assess(to_tensor(scene.image))
    assert found.error.shape == found.labels.shape == (180, 240)
    assert 0 <= found.error.min() < found.error.max() <= 1
    wrong = (found.labels != scene.labels)[scene.labels != 255]
    error = found.error[scene.labels != 255]
    assert error[wrong].mean() > 1.5 * error[~wrong].mean()
    assert 0 <= found.mean_quality <= 1
    assert found.resynthesis.dtype == np.uint8
    assert found.resynthesis.std() > 20  # an image, not a grey sheet


def test_it_judges_the_street_network_too(scene) -> None:
    own = load_failure_detector("street").assess(to_tensor(scene.image))
    other = load_failure_detector("street", segmenter=build_segmenter("street")).assess(
        to_tensor(scene.image)
    )
    assert not np.array_equal(own.labels, other.labels)


def test_it_finds_unknown_objects_with_fitted_statistics(scene) -> None:
    detector = SynthCPDetector()
    assert detector.normalizer != ScoreNormalizer()
    score = detector.normalizer(detector.score(to_tensor(scene.image)[None]))
    assert score.shape == (1, 180, 240)
    assert bool(torch.isfinite(score).all())
