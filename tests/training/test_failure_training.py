import numpy as np
import pytest
import torch

from failure_parts import COMPARATOR, make_generator, make_segmenter
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.taxonomy import CAMVID_CLASSES, CLASSES
from oodseg.failures.comparator import Comparator
from oodseg.failures.storage import load_failure_detector
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.failures.tcp import TCPHead
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.comparator_cache import predict, read_cached
from oodseg.training.comparator_samples import CachedMaker, as_sample
from oodseg.training.comparator_segmenter import load_segmenter
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained, read_metrics
from oodseg.training.exposed import UNKNOWN
from oodseg.training.failure_detectors import train
from oodseg.training.labelled import load_label_set
from training_data import make_training_data

UNTRAINED = {"crf", "energy", "entropy", "max_logit", "mc_dropout", "msp", "tta"}
LEARNED = {"autoencoder", "mahalanobis", "observer", "tcp", "vae_alarm"}
ALL = UNTRAINED | LEARNED | {"direct", "synthcp"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def recipe(**changes):
    return ComparatorRecipe(**{**COMPARATOR, **changes})


def generator(classes=CLASSES):
    return make_generator(len(classes)), classes


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    train(recipe(), root, out, generator())
    return out


def test_shipped_recipe_is_valid_and_the_default() -> None:
    assert load_recipe("comparator", ComparatorRecipe) == ComparatorRecipe()


def test_every_detector_comes_out_calibrated(run) -> None:
    assert {each.name for each in (run / "detectors").iterdir()} == ALL
    for name in ALL:
        detector = load_failure_detector(run / "detectors" / name)
        assert detector.classes == CLASSES
        assert len(detector.calibration.class_lines) == 7
        assert detector.assess(torch.rand(3, 40, 56)).error.shape == (40, 56)
    scorer = SynthCPDetector(run / "detectors" / "synthcp")
    assert (scorer.normalizer.mean, scorer.normalizer.std) != (0, 1)


def test_every_part_is_kept_with_its_recipe_and_figures(run) -> None:
    found = read_metrics(run)
    assert found["recipe"]["folds"] == 2
    for name in ("comparator", "direct"):
        saved, figures = load_trained(run / name, "comparator", Comparator), read_metrics(run / name)
        assert saved.sees_resynthesis is (name == "comparator")
        assert figures["validation"] == found["validation"][name]
        assert 0 <= figures["validation"]["val/aupr_error"] <= 1
    head = load_trained(run / "tcp", "tcp", TCPHead).state_dict()
    used = load_failure_detector(run / "detectors" / "tcp").head.state_dict()
    assert all(torch.equal(value, used[name]) for name, value in head.items())


def test_every_image_is_predicted_by_a_segmenter_that_never_saw_it(root, run) -> None:
    images = load_label_set("street", root).train
    cached = sorted((run / "cache" / "train").glob("*.npz"))
    assert len(cached) == len(images)
    half = -(-len(images) // 2)
    folds = [load_segmenter(run / f"fold_{number}") for number in (0, 1)]
    made, _ = generator()
    for index in (0, half - 1, half, len(images) - 1):
        wanted = predict(images[index], folds[index >= half].segment, made, (32, 64))
        found = read_cached(cached[index])
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found, name), value)


def test_every_image_comes_a_second_time_with_unknown_objects(root, run) -> None:
    plain, exposed = (sorted((run / "cache" / name).glob("*.npz")) for name in ("train", "exposed"))
    assert len(exposed) == len(plain)
    shares = []
    for path, other in zip(exposed, plain, strict=True):
        one, without = read_cached(path), read_cached(other)
        unknown = one.truth == UNKNOWN
        shares.append(unknown.mean())
        np.testing.assert_array_equal(one.truth[~unknown], without.truth[~unknown])
        assert not (without.truth == UNKNOWN).any()
        # Wrong whatever it is called, and no part of any class's quality.
        labels, truth, quality = as_sample(one, dice=False)[3:]
        assert (labels != truth)[torch.from_numpy(unknown)].all()
        assert quality.shape == (7,)
    assert 0.01 < np.mean(shares) < 0.5


def test_samples_with_unknown_objects_come_as_often_as_asked(run) -> None:
    plain, exposed = (sorted((run / "cache" / name).glob("*.npz")) for name in ("train", "exposed"))
    for exposure, least, most in ((0.0, 0, 0), (1.0, 30, 40)):
        make = CachedMaker(plain, exposed, exposure=exposure, seed=0, light=0.1, dice=False)
        assert least <= sum(bool((make(index)[4] == UNKNOWN).any()) for index in range(40)) <= most


def test_a_second_run_takes_up_what_is_there(root, run) -> None:
    files = [*run.glob("cache/*/*.npz"), *run.glob("fold_*/segmenter.safetensors")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert files
    train(recipe(max_steps=3), root, run, generator())
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert torch.load(run / "comparator" / "last.ckpt", weights_only=True)["global_step"] == 3
    # Another generator: the cache and the comparators start anew.
    other, classes = generator()
    with torch.no_grad():
        other.paint.bias.add_(1)
    train(recipe(), root, run, (other, classes))
    assert all(path.stat().st_mtime_ns > before[path] for path in run.glob("cache/*/*.npz"))
    assert torch.load(run / "comparator" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_without_folds_there_are_segmenter_and_baselines(root, tmp_path) -> None:
    settings = recipe(folds=0, labels="camvid", held_out=["car"], quality="dice")
    train(settings, root, tmp_path, None)
    assert {each.name for each in (tmp_path / "detectors").iterdir()} == ALL - {"direct", "synthcp"}
    segmenter = load_segmenter(tmp_path / "segmenter")
    assert segmenter.classes == tuple(each for each in CAMVID_CLASSES if each != "car")


def test_a_segmenter_of_ones_own_is_judged(root, tmp_path) -> None:
    own = make_segmenter(CLASSES)
    train(recipe(learned_baselines=[]), root, tmp_path, generator(), own)
    assert not (tmp_path / "detectors" / "observer").exists()
    assert not (tmp_path / "segmenter").exists()
    found = load_failure_detector(tmp_path / "detectors" / "synthcp").segmenter.state_dict()
    assert all(torch.allclose(found[name], value, atol=1e-3) for name, value in own.state_dict().items())


@pytest.mark.parametrize(("changes", "arguments", "message"), [
    ({}, {"generator": None}, "name its run with --generator"),
    ({"folds": 1}, {}, "one fold leaves no image"),
    ({"labels": "camvid"}, {}, "the generator knows the classes drivable.*the images have sky, building"),
    ({}, {"segmenter": make_segmenter()}, "the segmenter knows the classes road, car, sky"),
])  # fmt: skip
def test_errors(root, tmp_path, changes, arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        train(recipe(**changes), root, tmp_path, **{"generator": generator(), **arguments})


def test_too_few_images(root, tmp_path) -> None:
    with pytest.raises(DatasetError, match="too few images of the label set street for 99 folds"):
        train(recipe(folds=99), root, tmp_path, generator())
