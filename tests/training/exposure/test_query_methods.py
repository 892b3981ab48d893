"""The methods of mask classifiers on a tiny Mask2Former."""

import pytest
import torch
from exposure_tiny import TINY, assert_the_same_in_a_pipeline
from safetensors.torch import load_file

import tiny_models
from oodseg.core.errors import ConfigError
from oodseg.core.parts import MaskQueries
from oodseg.segmenters.hub_masks import Mask2FormerSegmenter, MaskFormerSegmenter
from oodseg.segmenters.street import StreetNet
from oodseg.training.exposure.methods import method_of
from oodseg.training.exposure.run import teach, train
from oodseg.training.exposure.truth import Truth

NAMES = ["mask2anomaly", "rba"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_models.save("mask2former", tmp_path_factory.mktemp("hub")))


@pytest.fixture
def segmenter(folder):
    return Mask2FormerSegmenter(folder)


def recipe(name, **changes):
    return method_of(name).recipe_class(**{**TINY, **changes})


@pytest.mark.parametrize("name", NAMES)
def test_the_heads_learn_and_the_segmenter_stays(name, root, segmenter, tmp_path):
    before = {key: value.clone() for key, value in segmenter.network.state_dict().items()}
    image = torch.rand(1, 3, 64, 96)
    logits = segmenter.segment(image).logits
    detector, done, _ = teach(name, recipe(name), root, tmp_path, segmenter)
    assert all(torch.equal(value, before[key]) for key, value in segmenter.network.state_dict().items())
    assert all(each.grad is None for each in segmenter.network.parameters())
    assert torch.equal(segmenter.segment(image).logits, logits)
    frozen = segmenter.heads().state_dict()
    assert not any(torch.equal(value, frozen[key]) for key, value in detector.head.state_dict().items())
    assert detector.fitted
    assert {"val/auprc", "val/fpr95", "val/auprc_energy", "val/miou", "val/miou_frozen"} <= set(
        done.validation
    )
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert all(key.startswith("network.head.") for key in checkpoint["state_dict"])


def test_saved_resumed_and_in_a_pipeline(root, segmenter, tmp_path):
    done = train("rba", recipe("rba"), root, tmp_path / "run", segmenter)
    assert all(key.startswith("head.") for key in load_file(done.path)), "the segmenter is only named"
    train("rba", recipe("rba", max_steps=3), root, tmp_path / "run", segmenter)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 3
    assert (tmp_path / "run" / "curve" / "version_1").is_dir(), "it went on"
    assert_the_same_in_a_pipeline(tmp_path / "run", tmp_path / "pipeline")


@pytest.mark.parametrize("name", NAMES)
def test_images_of_which_no_class_is_known_teach_what_is_unknown(name, segmenter):
    method = method_of(name)(recipe(name, outlier_weight=2.0, mask_weight=0.5))
    detector = method.new_detector(segmenter)
    seen = detector.see(torch.rand(2, 3, 64, 64))
    outlier = torch.zeros(2, 16, 16, dtype=torch.bool)
    outlier[:, :4] = True
    nothing = torch.full((2, 16, 16), 255)
    away = Truth(nothing, ~outlier, outlier, torch.ones(2, dtype=torch.bool))
    alone = method.losses(detector, seen, away, None)
    assert set(alone) == ({"outliers"} if name == "rba" else {"inliers", "outliers"})
    plain = method.outlier_losses(detector.judge(seen), away)
    torch.testing.assert_close(alone["outliers"], 2 * plain["outliers"])
    half = nothing.clone()
    half[1, 8:] = 3
    torch.manual_seed(0)
    both = method.losses(detector, seen, Truth(half, ~outlier, outlier, away.elsewhere), None)
    assert set(both) - set(alone) == {"cross_entropy", "mask", "dice"}
    queries = detector.queries(seen)
    torch.manual_seed(0)
    second = MaskQueries(queries.classes[1:], queries.masks[1:])
    own = segmenter.mask_losses(second, [(half[1:] == 3).float()], [torch.tensor([3])])
    torch.testing.assert_close(both["dice"], 0.5 * own["dice"])


def test_another_segmenter_is_named(root, tmp_path):
    street = StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval()
    with pytest.raises(
        ConfigError, match=r"rba trains the class and mask heads .* 'street' has none: choose"
    ):
        teach("rba", recipe("rba"), root, tmp_path / "run", street)
    other = MaskFormerSegmenter(str(tiny_models.save("maskformer", tmp_path / "hub")))
    with pytest.raises(
        ConfigError, match=r"mask2anomaly trains .* 'maskformer' has none: choose mask2former"
    ):
        teach("mask2anomaly", recipe("mask2anomaly"), root, tmp_path / "run", other)
