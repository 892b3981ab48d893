import numpy as np
import pytest
import torch

from failure_parts import make_comparator, make_detectors, make_generator, make_segmenter
from oodseg.core.build import build
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.detectors import Detector
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import full_logits
from oodseg.failures.storage import save_failure_detector
from oodseg.failures.synthcp import SynthCP, tell_unknown
from oodseg.failures.synthcp_detector import COMBINATIONS, SynthCPDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts

FOUND = {each.name: each for each in make_detectors()}


def make(combine=None, threshold=0.999, **parts):
    parts = {"segmenter": make_segmenter(), "generator": make_generator(), **parts}
    if combine in ("comparison", "unknown"):
        parts.setdefault("comparator", make_comparator(unknown=combine == "unknown"))
    return SynthCPDetector(**parts, combine=combine, threshold=threshold)


def images():
    torch.manual_seed(5)
    return torch.rand(2, 3, 50, 70)


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_contract(combine) -> None:
    detector = make(combine)
    assert isinstance(detector, Detector)
    score = detector.score(images())
    assert (score.shape, score.dtype) == ((2, 50, 70), torch.float32)
    assert score.isfinite().all()
    assert score.std() > 0
    torch.testing.assert_close(detector.score(images()[:1])[0], score[0], atol=1e-5, rtol=1e-4)


def test_combinations_are_made_of_the_same_two() -> None:
    doubt, distance = make("msp").score(images()), make("distance").score(images())
    torch.testing.assert_close(make("product").score(images()), doubt * distance)
    middle = 1 - doubt.median().item()
    wanted = torch.where(1 - doubt > middle, doubt, distance)
    torch.testing.assert_close(make("switch", middle).score(images()), wanted)


def test_the_comparison_is_doubt_times_the_error_that_the_comparator_sees() -> None:
    calibration = Calibration(slope=0.5, offset=-1.0)
    detector = make(comparator=make_comparator(), calibration=calibration)
    assert detector.combine == "comparison"
    assert make().combine == "product"
    judge = SynthCP(make_segmenter(), make_generator(), make_comparator(), calibration)
    errors = torch.stack([torch.from_numpy(judge.assess(each).error) for each in images()])
    wanted = make("msp").score(images()) * errors
    torch.testing.assert_close(detector.score(images()), wanted, atol=1e-5, rtol=1e-3)


def test_a_taught_comparator_says_what_is_unknown() -> None:
    comparator = make_comparator(unknown=True)
    detector = make(comparator=comparator)
    assert detector.combine == "unknown"
    batch = images()
    logits = full_logits(detector.segmenter.segment(batch), batch.shape[-2:])
    odds = tell_unknown(comparator, batch, logits, detector.generator.resynthesize(logits.argmax(1)))
    wanted = make("msp").score(batch) * odds.sigmoid()
    torch.testing.assert_close(detector.score(batch).exp() - 5e-4, wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="needs a comparator that tells what is unknown: train one"):
        SynthCPDetector(
            segmenter=make_segmenter(),
            generator=make_generator(),
            comparator=make_comparator(),
            combine="unknown",
        )


@pytest.fixture
def folder(tmp_path):
    notes = {"anomaly_statistics": {"comparison": [0.25, 0.5]}}
    save_failure_detector(FOUND["synthcp"], tmp_path / "failures", notes)
    return tmp_path / "failures"


def test_takes_parts_and_statistics_from_a_failure_detector(folder) -> None:
    detector = build("detectors", f"synthcp:{folder}")
    assert (detector.normalizer.mean, detector.normalizer.std) == (0.25, 0.5)
    torch.testing.assert_close(detector.score(images()), make("comparison").score(images()))
    other = SynthCPDetector(folder, combine="switch")
    assert not other.fitted
    with pytest.raises(ConfigError, match=r"'synthcp' was never fitted: .* `oodseg fit`"):
        S2M(other, ComponentPrompts(), BoxSegmenter())(np.zeros((48, 64, 3), np.uint8))


def test_a_pipeline_with_it_is_saved_whole(folder, tmp_path) -> None:
    s2m = S2M(SynthCPDetector(folder), ComponentPrompts(), BoxSegmenter())
    s2m.save_pretrained(tmp_path / "pipeline")
    again = S2M.from_pretrained(tmp_path / "pipeline").detector
    assert again.normalizer == s2m.detector.normalizer
    assert torch.equal(again.score(images()), s2m.detector.score(images()))


def test_errors(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no combination 'sum'"):
        make("sum")
    with pytest.raises(ConfigError, match="'comparison' needs a comparator"):
        make("comparison", comparator=None)
    with pytest.raises(ConfigError, match="needs both a segmenter and a generator"):
        SynthCPDetector(segmenter=make_segmenter())
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        SynthCPDetector(tmp_path / "nowhere")
    save_failure_detector(FOUND["msp"], tmp_path / "msp")
    with pytest.raises(ConfigError, match="is msp and reconstructs no images"):
        SynthCPDetector(tmp_path / "msp")
    with pytest.raises(ConfigError, match="3 classes and the generator 5"):
        SynthCPDetector(segmenter=make_segmenter(), generator=make_generator(5))
