"""What holds for every failure detector, and what sets single ones apart."""

import copy
import json

import numpy as np
import pytest
import torch

from failure_parts import CLASSES, make_comparator, make_detectors, make_generator, make_segmenter
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.registry import resolve
from oodseg.failures import FAILURES, Judge
from oodseg.failures.baselines import MSP
from oodseg.failures.calibration import Calibration
from oodseg.failures.detector import full_logits, msp_log_odds
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.storage import load_failure_detector, read_failure_config, save_failure_detector
from oodseg.failures.synthcp import DirectPrediction, SynthCP
from oodseg.failures.tcp import TCP, TCPHead
from oodseg.nn.uncertainty import energy, max_logit, msp, softmax_entropy
from oodseg.segmenters import Segmentation, Segmenter
from oodseg.segmenters.given import GivenLabels
from oodseg.segmenters.street import StreetNet

DETECTORS = {each.name: each for each in make_detectors()}
SCORES = {"msp": msp, "entropy": softmax_entropy, "energy": energy, "max_logit": max_logit}


def image(height=50, width=70):
    torch.manual_seed(5)
    return torch.rand(3, height, width)


def same(one, other):
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.error, other.error)
    np.testing.assert_array_equal(one.class_quality, other.class_quality)


def test_every_registered_detector_is_tested() -> None:
    # What judges labels alone has tests of its own: test_consistency.py.
    assert set(DETECTORS) | {"consistency"} == set(FAILURES)
    assert all(type(DETECTORS[name]) is resolve(FAILURES, "failures", name) for name in DETECTORS)


@pytest.mark.parametrize("name", DETECTORS)
def test_assessment(name) -> None:
    detector = DETECTORS[name]
    assert isinstance(detector, Judge)
    assert detector.classes == CLASSES
    found = detector.assess(image())
    assert (found.labels.shape, found.labels.dtype) == ((50, 70), np.uint8)
    assert (found.error.shape, found.error.dtype) == ((50, 70), np.float32)
    assert 0 <= found.error.min() < found.error.max() <= 1
    assert (found.class_quality.shape, found.class_quality.dtype) == ((3,), np.float32)
    predicted = np.isin(np.arange(3), found.labels)
    np.testing.assert_array_equal(np.isnan(found.class_quality), ~predicted)
    assert found.mean_quality == pytest.approx(np.nanmean(found.class_quality))
    if name in {"synthcp", "autoencoder"}:
        assert (found.resynthesis.shape, found.resynthesis.dtype) == ((50, 70, 3), np.uint8)
    else:
        assert found.resynthesis is None


@pytest.mark.parametrize("name", DETECTORS)
def test_says_the_same_twice_and_of_the_same_prediction(name) -> None:
    one, other = DETECTORS[name].assess(image()), DETECTORS[name].assess(image())
    np.testing.assert_array_equal(one.error, other.error)
    logits = full_logits(make_segmenter().segment(image()[None]), (50, 70))
    np.testing.assert_array_equal(one.labels, logits.argmax(1)[0].numpy())


@pytest.mark.parametrize("name", SCORES)
def test_baselines_order_pixels_as_their_score_does(name) -> None:
    logits = full_logits(make_segmenter().segment(image()[None]), (50, 70))
    order = np.argsort(SCORES[name](logits)[0].numpy().ravel())
    error = DETECTORS[name].assess(image()).error.ravel()[order]
    assert (np.diff(error) >= -1e-6).all()


@pytest.mark.parametrize("kind", ["direct", "synthcp"])
def test_the_comparator_alone_says_where_the_error_is(kind) -> None:
    detector = copy.deepcopy(DETECTORS[kind])
    said = torch.linspace(-3, 3, 12 * 16).reshape(1, 12, 16)
    detector.comparator = FixedComparator(detector.comparator, said)
    score = detector.measure(image()).score
    assert score.shape == (50, 70)
    assert float(score[:4].max()) < -2 < 2 < float(score[-4:].min())


class FixedComparator(torch.nn.Module):
    """Says the same of every image, whatever the class probabilities are."""

    def __init__(self, like, said):
        super().__init__()
        self.short_side, self.multiple, self.said = like.short_side, like.multiple, said

    def judge(self, *seen):
        return self.said, torch.zeros(1, len(CLASSES)), torch.ones(1, len(CLASSES))


def test_msp_log_odds() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]]).view(1, 3, 1, 1)
    assert msp_log_odds(logits).sigmoid().item() == pytest.approx(msp(logits).item(), abs=1e-6)
    sure = torch.tensor([[60.0, 0.0, 0.0]]).view(1, 3, 1, 1)
    assert msp_log_odds(sure).item() == pytest.approx(np.log(2) - 60, abs=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_save_and_load(name, tmp_path) -> None:
    detector = DETECTORS[name]
    detector.calibration = Calibration(0.7, -0.4, [(0.5, 0.1)] * 3, [(0.2, 0.9)] * 3)
    save_failure_detector(detector, tmp_path / "mine", {"note": 1})
    loaded = load_failure_detector(tmp_path / "mine")
    assert loaded.config == json.loads(json.dumps(detector.config))
    same(detector.assess(image()), loaded.assess(image()))
    assert read_failure_config(tmp_path / "mine")["note"] == 1
    assert "road, car, sky" in (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")


def test_another_segmenter_can_be_judged(tmp_path) -> None:
    save_failure_detector(DETECTORS["synthcp"], tmp_path)
    other = make_segmenter(seed=9)
    found = load_failure_detector(tmp_path, segmenter=other).assess(image())
    wanted = full_logits(other.segment(image()[None]), (50, 70)).argmax(1)[0].numpy()
    np.testing.assert_array_equal(found.labels, wanted)
    with pytest.raises(
        ConfigError, match="knows the classes road, car, sky; the segmenter street has others"
    ):
        load_failure_detector(tmp_path, segmenter=make_segmenter(("a", "b", "c")))


def test_errors_of_the_folder(tmp_path) -> None:
    with pytest.raises(WeightsError, match="nowhere does not exist: give a folder"):
        load_failure_detector(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        load_failure_detector(tmp_path)
    save_failure_detector(DETECTORS["msp"], tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    weights = tmp_path / config["weights"]["failure_detector"]["file"]
    weights.write_bytes(weights.read_bytes()[:-3])
    with pytest.raises(WeightsError, match="damaged"):
        load_failure_detector(tmp_path)
    for content, message in (
        ("{", "not readable JSON"),
        (json.dumps({"format": config["format"]}), "describes no failure detector"),
        (json.dumps({**config, "format": 9}), "format 9, this oodseg .* reads format 2"),
        (json.dumps({**config, "failure_detector": {"name": "msp", "x": 1}}), "does not fit"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(WeightsError, match=message):
            load_failure_detector(tmp_path)


def test_parts_must_fit_each_other() -> None:
    segmenter = make_segmenter()
    with pytest.raises(ConfigError, match="synthcp takes a comparator that sees a re-synthesis"):
        SynthCP(segmenter, make_generator(), make_comparator(False))
    with pytest.raises(ConfigError, match="direct takes a comparator that sees no re-synthesis"):
        DirectPrediction(segmenter, make_comparator(True))
    with pytest.raises(ConfigError, match="has 3 classes and the generator 4"):
        SynthCP(segmenter, make_generator(4), make_comparator())
    with pytest.raises(ConfigError, match="has 3 classes and the comparator 4"):
        DirectPrediction(segmenter, make_comparator(False, 4))


class Bare(Segmenter):
    """Gives logits and nothing else."""

    name = "bare"
    classes = CLASSES

    def segment(self, images):
        return Segmentation(torch.zeros(1, 3, 4, 4))


def test_labels_from_elsewhere_are_judged_as_they_are_handed_in() -> None:
    judge = SynthCP(GivenLabels(CLASSES), make_generator(), make_comparator())
    one, other = torch.zeros(50, 70, dtype=torch.uint8), torch.full((50, 70), 2, dtype=torch.uint8)
    for labels in (one, other, one):
        assert np.array_equal(judge.assess(image(), labels).labels, labels.numpy())
    with pytest.raises(ConfigError, match="was given none"):
        judge.assess(image())
    with pytest.raises(ConfigError, match="judges street, no labels from elsewhere"):
        DETECTORS["synthcp"].assess(image(), one)
    with pytest.raises(ConfigError, match="mc_dropout judges a network"):
        DETECTORS["mc_dropout"].assess(image(), one)


def test_baselines_that_need_more_than_logits_say_so() -> None:
    bare = Bare()
    assert MSP(bare).assess(image()).error.shape == (50, 70)
    with pytest.raises(ConfigError, match="mc_dropout works on the street network only, not on bare"):
        MCDropout(bare)
    with pytest.raises(ConfigError, match="bare gives none"):
        TCP(bare, TCPHead(6, 4)).assess(image())


def test_weights_in_8_bits_take_half_the_room_and_say_nearly_the_same(tmp_path) -> None:
    segmenter = StreetNet([16, 24, 32, 40, 48], [1, 1, 1, 1], objectness=False, classes=CLASSES).eval()
    detector = MSP(segmenter)
    save_failure_detector(detector, tmp_path / "16")
    save_failure_detector(detector, tmp_path / "8", bits=8)
    large, small = ((tmp_path / name / "failure_detector.safetensors").stat().st_size for name in ("16", "8"))
    assert small < 0.6 * large
    found = load_failure_detector(tmp_path / "8").assess(image())
    np.testing.assert_allclose(found.error, detector.assess(image()).error, atol=0.05)
