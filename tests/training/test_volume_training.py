import json

import numpy as np
import pytest
import torch

import oodseg.runs
from failure_fakes import STRUCTURES, WINDOW, body, save_scan, save_task
from failure_parts import make_segmenter
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.data.msd import export_slices
from oodseg.data.slices import LabelledSlice, labelled_slices
from oodseg.failures.detector import full_logits
from oodseg.failures.spade import SpadeGenerator
from oodseg.failures.storage import load_failure_detector
from oodseg.io.images import to_tensor
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.labelled import load_label_set
from oodseg.training.resynthesis import ResynthesisRecipe
from oodseg.training.volume_predictors import PredictedSlice
from oodseg.training.volumes import train

TINY = {
    "labels": "slices", "quality": "dice", "folds": 2, "size": (24, 24), "widths": [8, 8, 8], "fused": 4,
    "max_steps": 2, "batch_size": 2, "warmup_steps": 0, "precision": "32-true", "workers": 0,
    "val_every_steps": 2,
    "segmenter": {
        "size": (32, 32), "widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1], "max_steps": 1, "batch_size": 2,
        "warmup_steps": 0, "precision": "32-true", "workers": 0,
    },
    "vae": {
        "side": 16, "widths": [4, 4], "latent": 2, "max_steps": 1, "batch_size": 2, "warmup_steps": 0,
        "precision": "32-true", "workers": 0,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return save_task(tmp_path_factory.mktemp("msd") / "Task07")


def generator(classes=STRUCTURES):
    torch.manual_seed(0)
    return SpadeGenerator(len(classes), [4, 4, 4], 16), classes


def test_the_shipped_recipes_are_for_volumes():
    for name in ("pancreas", "hippocampus"):
        assert load_recipe(f"resynthesis_{name}", ResynthesisRecipe).perceptual is None
        recipe = load_recipe(f"comparator_{name}", ComparatorRecipe)
    assert (recipe.labels, recipe.quality) == ("slices", "dice")


def test_slices_are_a_label_set(task, tmp_path):
    export_slices(task, tmp_path / "slices", WINDOW)
    found = load_label_set("slices", tmp_path / "slices")
    assert found.classes == STRUCTURES
    image, labels = found.train[0].read()
    assert image.shape == (*labels.shape, 3)


def test_a_slice_comes_with_its_prediction(task, tmp_path):
    export_slices(task, tmp_path / "slices", WINDOW, task.parent / "predicted")
    for each in labelled_slices(tmp_path / "slices")[1]["train"]:
        one = PredictedSlice(each, None)
        image, truth = one.read()
        assert np.array_equal(one.labels(to_tensor(image)).numpy(), np.where(truth == 2, 2, 0))


@pytest.mark.parametrize("predicted", [True, False])
def test_slices_to_a_detector_that_judges_volumes(task, tmp_path, predicted):
    export_slices(task, tmp_path / "slices", WINDOW, task.parent / "predicted" if predicted else None)
    done = train(ComparatorRecipe(**TINY), tmp_path / "slices", tmp_path / "run", generator())
    folder = done.path
    assert (tmp_path / "run" / "fold_1").is_dir() is not predicted
    detector = load_failure_detector(folder)
    own = detector.segmenter.config
    assert own.pop("fallback", {"name": "street"})["name"] == "street"
    assert own == {"classes": list(STRUCTURES), "window": list(WINDOW)}
    assert (detector.segmenter.fallback is None) is predicted
    measured = json.loads((folder / "config.json").read_text())["measured"]
    assert 0 < measured["aupr_error"] <= 1
    assert 0 <= measured["mae"] <= 1
    assert done.metrics["test"] == measured
    assert set(done.metrics["baselines"]) == {"direct", "vae_alarm"}
    assert 0 <= measured["volume_mae"] <= 1
    for name in ("direct", "vae_alarm"):
        assert load_failure_detector(tmp_path / "run" / "baselines" / name).name == name
    assert 0 <= done.metrics["validation"]["val/aupr_error"] <= 1
    scan = save_scan(tmp_path / "case.nii.gz", body())
    found = oodseg.runs.judge_volume(
        scan, task / "labelsTr" / "pancreas_000.nii.gz", folder, tmp_path / "out"
    )
    assert list(found.dice) == ["liver", "pancreas"]
    assert (tmp_path / "out" / "error.nii.gz").is_file()


def test_hasty_and_enlarged_segmenters(task, tmp_path):
    export_slices(task, tmp_path / "slices", WINDOW)
    recipe = ComparatorRecipe(**{**TINY, "hasty_steps": 1, "enlarged": 1.5})
    done = train(recipe, tmp_path / "slices", tmp_path / "run", generator())
    slices = len(labelled_slices(tmp_path / "slices")[1]["train"])
    assert len(list((tmp_path / "run" / "cache" / "train").glob("*.npz"))) == 2 * slices
    fallback = load_failure_detector(done.path).segmenter.fallback
    assert fallback.config["scales"] == [1.5]


@pytest.mark.parametrize(
    ("changes", "classes", "words"),
    [
        ({"quality": "iou"}, STRUCTURES, "quality: dice"),
        ({}, STRUCTURES[:2], "train it on these slices"),
        ({"folds": 4}, STRUCTURES, "3 scans cannot be parted into 4 folds"),
    ],
)
def test_settings_that_make_no_sense(task, tmp_path, changes, classes, words):
    export_slices(task, tmp_path / "slices", WINDOW)
    with pytest.raises(ConfigError, match=words):
        train(
            ComparatorRecipe(**{**TINY, **changes}),
            tmp_path / "slices",
            tmp_path / "run",
            generator(classes),
        )


def test_a_slice_without_a_prediction_is_predicted(tmp_path, task):
    export_slices(task, tmp_path / "slices", WINDOW)
    one = labelled_slices(tmp_path / "slices")[1]["train"][0]
    assert isinstance(one, LabelledSlice)
    image, _ = one.read()
    network = make_segmenter(STRUCTURES)
    pixels = to_tensor(image)
    expected = full_logits(network.segment(pixels[None]), image.shape[:2]).argmax(1)[0]
    assert torch.equal(PredictedSlice(one, network).labels(pixels), expected)
    with pytest.raises(DatasetError, match="has no prediction: cut the slices with --predictions"):
        PredictedSlice(one, None).labels(pixels)
