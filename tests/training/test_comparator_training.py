import numpy as np
import pytest
import torch

from failure_parts import COMPARATOR, make_generator, make_segmenter
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.taxonomy import CAMVID_CLASSES, CLASSES
from oodseg.failures.baselines import MSP
from oodseg.failures.storage import load_failure_detector
from oodseg.failures.synthcp_detector import SynthCPDetector
from oodseg.training.common import load_recipe
from oodseg.training.comparator import CachedMaker, ComparatorRecipe, as_sample, train
from oodseg.training.comparator_baselines import calibrate
from oodseg.training.comparator_cache import build_cache, predict, read_cached
from oodseg.training.comparator_segmenter import goes_on, load_segmenter
from oodseg.training.exposed import UNKNOWN
from oodseg.training.labelled import load_label_set
from training_data import make_training_data

ALL = {"direct", "energy", "entropy", "max_logit", "mc_dropout", "msp", "synthcp", "tcp"}


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
    train(recipe(), root, out, generator(), progress=False)
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


def test_every_picture_is_predicted_by_a_segmenter_that_never_saw_it(root, run) -> None:
    pictures = load_label_set("street", root).train
    cached = sorted((run / "cache" / "train").glob("*.npz"))
    assert len(cached) == len(pictures)
    half = -(-len(pictures) // 2)
    folds = [load_segmenter(run / f"fold_{number}" / "segmenter.safetensors") for number in (0, 1)]
    made, _ = generator()
    for index in (0, half - 1, half, len(pictures) - 1):
        wanted = predict(pictures[index], folds[index >= half].segment, made, (32, 64))
        found = read_cached(cached[index])
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found, name), value)


def test_every_picture_comes_a_second_time_with_unknown_objects(root, run) -> None:
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
        make = CachedMaker(plain, recipe(exposure=exposure), exposed)
        assert least <= sum(bool((make(index)[4] == UNKNOWN).any()) for index in range(40)) <= most


def test_a_second_run_takes_up_what_is_there(root, run) -> None:
    files = [*run.glob("cache/*/*.npz"), *run.glob("fold_*/segmenter.safetensors")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert files
    train(recipe(max_steps=3), root, run, generator(), progress=False)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert torch.load(run / "comparator" / "last.ckpt", weights_only=True)["global_step"] == 3
    # Another generator: the cache and the comparators start anew.
    other, classes = generator()
    with torch.no_grad():
        other.paint.bias.add_(1)
    train(recipe(), root, run, (other, classes), progress=False)
    assert all(path.stat().st_mtime_ns > before[path] for path in run.glob("cache/*/*.npz"))
    assert torch.load(run / "comparator" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_without_folds_there_are_segmenter_and_baselines(root, tmp_path) -> None:
    settings = recipe(folds=0, labels="camvid", held_out=["car"], quality="dice")
    train(settings, root, tmp_path, None, progress=False)
    assert {each.name for each in (tmp_path / "detectors").iterdir()} == ALL - {"direct", "synthcp"}
    segmenter = load_segmenter(tmp_path / "segmenter" / "segmenter.safetensors")
    assert segmenter.classes == tuple(each for each in CAMVID_CLASSES if each != "car")


def test_a_segmenter_of_ones_own_is_judged(root, tmp_path) -> None:
    own = make_segmenter(CLASSES)
    train(recipe(), root, tmp_path, generator(), own, progress=False)
    assert not (tmp_path / "segmenter").exists()
    found = load_failure_detector(tmp_path / "detectors" / "synthcp").segmenter.state_dict()
    assert all(torch.allclose(found[name], value, atol=1e-3) for name, value in own.state_dict().items())


def test_samples_know_the_true_quality(root) -> None:
    labelled = load_label_set("street", root).train[0]
    found = predict(labelled, make_segmenter(CLASSES).segment, generator()[0], (32, 64))
    assert found.probabilities.shape == (32, 64, 7)
    picture, made, shares, labels, truth, quality = as_sample(found, dice=False)
    assert picture.shape == made.shape == (3, 32, 64)
    for index in range(7):
        one, other = labels == index, (truth == index)
        counts = truth != 255
        union = ((one | other) & counts).sum().item()
        if other.any():
            assert quality[index].item() == pytest.approx((one & other).sum().item() / union)
        else:
            assert quality[index].isnan()
    dice = as_sample(found, dice=True)[5]
    torch.testing.assert_close(dice, 2 * quality / (1 + quality), equal_nan=True)
    assert (shares.float().sum(0) - 255).abs().max() <= 7
    np.testing.assert_array_equal(found.mirrored().picture[:, ::-1], found.picture)


def test_cache_starts_anew_when_it_must_and_names_damage(root, tmp_path) -> None:
    items = [(each, make_segmenter(CLASSES).segment) for each in load_label_set("street", root).train[:2]]
    make = generator()[0]
    paths = build_cache(tmp_path, items, make, (32, 64), "one", progress=False)
    paths[0].write_bytes(b"broken")
    assert build_cache(tmp_path, items, make, (32, 64), "one", progress=False) == paths
    with pytest.raises(DatasetError, match=r"000000\.npz cannot be read .*delete it"):
        read_cached(paths[0])
    build_cache(tmp_path, items, make, (32, 64), "two", progress=False)
    assert read_cached(paths[0]).picture.shape == (32, 64, 3)


def test_runs_go_on_only_with_the_same_settings(tmp_path) -> None:
    assert not goes_on(tmp_path / "run", {"a": (1, 2)})
    assert goes_on(tmp_path / "run", {"a": [1, 2]})
    assert not goes_on(tmp_path / "run", {"a": [1, 3]})


def test_calibration_makes_the_mean_error_true(root) -> None:
    pictures = load_label_set("street", root).val
    detector = MSP(make_segmenter(CLASSES))
    calibrate(detector, pictures, progress=False)
    wrong, said = [], []
    for each in pictures:
        picture, truth = each.read()
        found = detector.assess(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
        wrong.append((found.labels != truth)[truth != 255])
        said.append(found.error[truth != 255])
    assert np.concatenate(said).mean() == pytest.approx(np.concatenate(wrong).mean(), abs=0.03)


@pytest.mark.parametrize(("changes", "arguments", "message"), [
    ({}, {"generator": None}, "name its run with --generator"),
    ({"folds": 1}, {}, "one fold leaves no picture"),
    ({"labels": "camvid"}, {}, "the generator knows the classes drivable.*the pictures have sky, building"),
    ({}, {"segmenter": make_segmenter()}, "the segmenter knows the classes road, car, sky"),
])  # fmt: skip
def test_errors(root, tmp_path, changes, arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        train(recipe(**changes), root, tmp_path, **{"generator": generator(), **arguments}, progress=False)


def test_too_few_pictures(root, tmp_path) -> None:
    with pytest.raises(DatasetError, match="too few pictures of the label set street for 99 folds"):
        train(recipe(folds=99), root, tmp_path, generator(), progress=False)
