"""Every method on a tiny street network and tiny scenes."""

import pytest
import torch
from exposure_tiny import TINY, assert_the_same_in_a_pipeline
from safetensors.torch import load_file
from torch import nn

import tiny_models
from oodseg.core.errors import ConfigError
from oodseg.core.taxonomy import CLASSES
from oodseg.failures.spade import SpadeGenerator
from oodseg.segmenters.hub_pixel import SegformerSegmenter
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.street import StreetNet
from oodseg.training.engine.changes import change_recipe
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained, save_trained
from oodseg.training.exposure.methods import METHODS, method_of
from oodseg.training.exposure.run import segmenter_of, teach, train
from oodseg.training.resynthesis import ResynthesisRecipe

ON_FEATURES = [name for name in METHODS if name not in ("mask2anomaly", "rba")]
OWN = {}  # settings of methods whose head is another


@pytest.fixture(scope="module", autouse=True)
def _tiny_generator(tmp_path_factory):
    """A finished training of a generator of the street classes, for SynBoost."""
    folder = tmp_path_factory.mktemp("resynthesis")
    generator, settings = SpadeGenerator(7, [8, 8, 4], 32), ResynthesisRecipe()
    save_trained(folder, "resynthesis", generator, settings, {}, notes={"classes": list(CLASSES)})
    OWN["synboost"] = {"generator": str(folder), "widths": [4, 6]}


@pytest.fixture
def street():
    return StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval()


def recipe(name, **changes):
    return method_of(name).recipe_class(**{**TINY, **OWN.get(name, {"hidden": 8}), **changes})


@pytest.mark.parametrize("name", ON_FEATURES)
def test_the_head_learns_and_the_segmenter_stays(name, root, street, tmp_path):
    before = {key: value.clone() for key, value in street.state_dict().items()}
    image = torch.rand(1, 3, 64, 96)
    logits = street.segment(image).logits
    detector, done, _ = teach(name, recipe(name), root, tmp_path, street)
    assert all(torch.equal(value, before[key]) for key, value in detector.segmenter.state_dict().items())
    assert torch.equal(detector.segmenter.segment(image).logits, logits)
    last = [each for each in detector.head.modules() if isinstance(each, nn.Conv2d)][-1]
    assert last.weight.any(), "most start at zero"
    assert detector.fitted
    figures = {"auprc", "fpr95", "auprc_msp", "auprc_energy", "auprc_entropy", "miou", "miou_frozen"}
    assert {f"val/{each}" for each in figures} == set(done.validation)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert all(key.startswith(("network.head.", "network.companion.")) for key in checkpoint["state_dict"])


def test_saved_resumed_and_in_a_pipeline(root, street, tmp_path):
    done = train("pebal", recipe("pebal"), root, tmp_path / "run", street)
    inside, outside = done.metrics["recipe"]["margins"]
    assert inside < outside, "measured"
    assert done.metrics["method"] == "pebal"
    assert load_file(done.path)["head.0.1.num_batches_tracked"].item() == 2
    train("pebal", recipe("pebal", max_steps=3), root, tmp_path / "run", street)
    assert load_file(done.path)["head.0.1.num_batches_tracked"].item() == 3, "it went on"
    train("pebal", recipe("pebal", outlier_weight=0.2), root, tmp_path / "run", street)
    assert load_file(done.path)["head.0.1.num_batches_tracked"].item() == 2, "another recipe begins anew"
    assert_the_same_in_a_pipeline(tmp_path / "run", tmp_path / "pipeline")


def test_corocl_trains_a_projection_that_no_pipeline_keeps(root, street, tmp_path):
    settings = recipe("rpl", contrast=1.0, projection=4, mix={"natural": 0.5})
    detector, _, _ = teach("rpl", settings, root, tmp_path, street)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["network.companion.weight"].shape == (4, 8, 1, 1)
    assert not any("companion" in name for name in detector.state_dict())


def test_a_segmenter_of_other_classes_teaches_its_own(root, tmp_path):
    segmenter = SegformerSegmenter(str(tiny_models.save("segformer", tmp_path / "hub")))
    done = train("meta_ood", recipe("meta_ood"), root, tmp_path / "run", segmenter)
    assert done.metrics["validation"]["val/miou_frozen"] == 1
    assert all(name.startswith("head.") for name in load_file(done.path))
    assert load_trained(tmp_path / "run", "detector").segmenter.source == segmenter.source
    with pytest.raises(ConfigError, match=r"of the 7 classes .* 'segformer' has 5: set `targets`"):
        teach("meta_ood", recipe("meta_ood", targets="labels"), root, tmp_path / "run", segmenter)


def test_a_network_of_ones_own_can_be_taught_and_not_saved(root, tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.ReLU(), nn.Conv2d(5, 4, 1))
    segmenter = CallableSegmenter(network, classes=list("abcd"), classifier="2")
    detector, _, _ = teach("rpl", recipe("rpl"), root, tmp_path / "run", segmenter)
    assert detector.score(torch.rand(1, 3, 40, 60)).shape == (1, 40, 60)
    assert all(each.grad is None for each in network.parameters())
    with pytest.raises(ConfigError, match="cannot be saved"):
        train("rpl", recipe("rpl"), root, tmp_path / "other", segmenter)
    assert not (tmp_path / "other").exists()


def test_what_is_wrong_is_said(root, street, tmp_path):
    with pytest.raises(ConfigError, match="no method 'peball'; choose one of: meta_ood"):
        teach("peball", None, root, tmp_path, street)
    segmenter = CallableSegmenter(lambda images: images)
    with pytest.raises(ConfigError, match="gives no features"):
        teach("pebal", recipe("pebal"), root, tmp_path, segmenter)
    with pytest.raises(ConfigError, match="gives no features"):
        teach("synboost", recipe("synboost"), root, tmp_path, segmenter)
    other = StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1], classes=["a", "b"]).eval()
    with pytest.raises(ConfigError, match="has 2 classes and the generator 7"):
        teach("synboost", recipe("synboost"), root, tmp_path, other)
    with pytest.raises(ConfigError, match="no 'unknown' among the segmenters"):
        segmenter_of("unknown")


@pytest.mark.parametrize("margins", ["[-6, -12]", "[-6, -6]"])
def test_margins_in_the_wrong_order_are_refused(margins):
    """The hinges would ask for energies that are low and high at once."""
    shipped = load_recipe("detector_pebal", method_of("pebal").recipe_class)
    with pytest.raises(ConfigError, match=r"margins cannot be used \(the first, of inliers, must lie below"):
        change_recipe(shipped, [f"margins={margins}"])


def test_a_contrast_needs_both_contexts():
    """Without images of objects alone CoroCL's loss would be 0 at every step."""
    shipped = load_recipe("detector_rpl_corocl", method_of("rpl").recipe_class)
    with pytest.raises(ConfigError, match=r"contrast cannot be used .*give mix\.natural a share above 0"):
        change_recipe(shipped, ["mix.natural=0"])
    assert change_recipe(shipped, ["mix.natural=0", "contrast=0"]).contrast == 0


@pytest.mark.parametrize("name", [*METHODS, "rpl_corocl"])
def test_shipped_recipes(name):
    shipped = load_recipe(f"detector_{name}", method_of(name.removesuffix("_corocl")).recipe_class)
    assert shipped.max_steps >= 500
    assert (shipped.mix.rectangles > 0) == (name == "densehybrid")
