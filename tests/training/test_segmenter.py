import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from oodseg import S2M
from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.taxonomy import IGNORE
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.nn.encoders import WHEELS
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from oodseg.synth.scenes import Scene, SceneSampler
from oodseg.training.common import load_recipe
from oodseg.training.pretrained import freeze
from oodseg.training.segmenter import (
    BatchMaker,
    SceneMaker,
    SegmenterModule,
    SegmenterRecipe,
    new_network,
    pixel_weights,
    street_loss,
    train,
)
from training_data import make_training_data

TINY = {
    "sizes": [(64, 96)],
    "widths": [4, 6, 8, 8, 8],
    "depths": [1, 1, 1, 1],
    "max_steps": 2,
    "batch_size": 2,
    "warmup_steps": 1,
    "precision": "32-true",
    "workers": 0,
    "val_scenes": 24,
    "val_every_steps": 2,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def uniform(batch=1, height=8, width=8):
    """Logits of zero, labels of class 0, nothing unknown, weight 1."""
    return {
        "logits": torch.zeros(batch, 7, height // 4, width // 4),
        "objectness": torch.zeros(batch, height // 2, width // 2),
        "labels": torch.zeros(batch, height, width, dtype=torch.uint8),
        "unknown": torch.zeros(batch, height, width, dtype=torch.uint8),
        "weights": torch.ones(batch, height, width),
    }


def test_loss_of_a_network_that_knows_nothing() -> None:
    parts = street_loss(**uniform())
    assert parts["classes"].item() == pytest.approx(math.log(7))
    assert parts["objects"].item() == pytest.approx(math.log(2))
    assert parts["uniform"].item() == 0
    assert parts["dice"].item() == pytest.approx(1 - 1 / (0.5 * 16 + 1))


def test_loss_without_any_known_pixel_is_no_nan() -> None:
    batch = uniform()
    batch["labels"][:] = IGNORE
    batch["weights"][:] = 0
    parts = street_loss(**batch)
    assert parts["classes"].item() == 0
    assert all(value.isfinite() for value in parts.values())


def test_unknown_objects_are_pulled_to_the_uniform_distribution() -> None:
    batch = uniform()
    batch["unknown"][:] = 3
    batch["labels"][:] = IGNORE
    assert street_loss(**batch)["uniform"].item() == pytest.approx(math.log(7))
    batch["logits"][:, 2] = 20
    assert street_loss(**batch)["uniform"].item() == pytest.approx(20 - 20 / 7, rel=1e-3)
    # 255 means "not to be judged".
    batch["unknown"][:] = IGNORE
    assert street_loss(**batch)["uniform"].item() == 0


def test_finding_the_object_lowers_both_parts() -> None:
    batch = uniform(height=32, width=32)
    batch["unknown"][:, 8:20, 8:20] = 1
    lost = street_loss(**batch)
    batch["objectness"] = torch.full((1, 16, 16), -9.0)
    batch["objectness"][:, 4:10, 4:10] = 9.0
    found = street_loss(**batch)
    assert found["objects"] < 0.01 < lost["objects"]
    assert found["dice"] < 0.05 < lost["dice"]


def test_weightless_pixels_do_not_count() -> None:
    batch = uniform(height=16, width=16)
    batch["unknown"][:, :, 8:] = IGNORE
    batch["weights"][:, :, 8:] = 0
    before = street_loss(**batch)
    batch["objectness"][:, :, 4:] = 50
    after = street_loss(**batch)
    assert after["objects"] == before["objects"]
    assert after["dice"] == before["dice"]


@pytest.mark.parametrize(("side", "weight"), [(60, 1), (30, 1), (15, 2), (5, 4)])
def test_small_objects_count_more(side, weight) -> None:
    unknown = np.zeros((64, 64), np.uint8)
    unknown[:side, :side] = 1
    unknown[63] = IGNORE
    blank = np.zeros((64, 64, 3), np.uint8)
    weights = pixel_weights(Scene(blank, unknown, unknown, "street", unknown == 1))
    assert weights[0, 0] == pytest.approx(weight)
    assert weights[62, 63] == 1
    assert weights[63, 0] == 0
    assert pixel_weights(Scene(blank, unknown, unknown, "natural", unknown == 1))[62, 63] == 0.75


def test_samples_depend_on_seed_and_number_alone(root) -> None:
    sampler = SceneSampler(root, (64, 96))
    first, second = SceneMaker(sampler, 5)(17), SceneMaker(sampler, 5)(17)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], SceneMaker(sampler, 6)(17)[0])
    assert [tuple(each.shape) for each in first] == [(3, 64, 96), (64, 96), (64, 96), (64, 96)]


def test_shipped_recipe_is_valid() -> None:
    recipe = load_recipe("segmenter", SegmenterRecipe)
    assert recipe.backbone in WHEELS
    assert len(recipe.widths) == 4
    assert not set(recipe.model_dump()) - set(SegmenterRecipe.model_fields)


def test_trains_writes_and_resumes(root, tmp_path) -> None:
    path = train(SegmenterRecipe(**TINY), root, tmp_path, progress=False)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    state = load_file(path)
    network = StreetNet(**config)
    network.load_state_dict(state)
    assert {each.dtype for each in state.values() if each.is_floating_point()} == {torch.float16}
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert {"val/auprc", "val/fpr95", "val/miou"} <= set(metrics["validation"])
    assert metrics["recipe"]["max_steps"] == 2
    assert list((tmp_path / "curve").rglob("metrics.csv"))
    assert state["stem.0.1.num_batches_tracked"].item() == 2
    train(SegmenterRecipe(**{**TINY, "max_steps": 3}), root, tmp_path, progress=False)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    assert load_file(path)["stem.0.1.num_batches_tracked"].item() == 3


def test_errors_name_recipe_and_folder(root, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("mix: {drawn: 2}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml cannot be used \(mix\.drawn"):
        train(tmp_path / "mine.yaml", root, tmp_path)
    with pytest.raises(DatasetError, match="must hold images/ and labels/"):
        train(SegmenterRecipe(**TINY), tmp_path, tmp_path / "run")


def test_a_training_goes_on_from_a_pipelines_network() -> None:
    shipped = build_segmenter("street")
    size = {"backbone": shipped.backbone, "widths": list(shipped.widths), "pretrained": "none"}
    network = new_network(SegmenterRecipe(initial="street", **size))
    assert network.state_dict().keys() == shipped.state_dict().keys()
    assert all(torch.equal(value, shipped.state_dict()[name]) for name, value in network.state_dict().items())
    assert not torch.equal(new_network(SegmenterRecipe(**size)).class_head.weight, shipped.class_head.weight)
    with pytest.raises(ConfigError, match="not of this recipe's backbone and widths"):
        new_network(SegmenterRecipe(initial="street", **{**size, "widths": [8, 8, 8, 8]}))


def test_a_network_grows_into_the_recipes_size_but_does_not_shrink(tmp_path) -> None:
    small = StreetNet([8, 8, 12, 16, 16], [1, 2, 1, 2]).eval()
    pipeline = S2M(StreetDetector(small), ComponentPrompts(), BoxSegmenter())
    pipeline.save_pretrained(tmp_path / "small")
    shipped = build_segmenter({"name": "street", "source": str(tmp_path / "small")}).eval()
    widths, depths = [9, 9, 13, 17, 17], [2, 3, 2, 3]
    initial = str(tmp_path / "small")
    grown = new_network(SegmenterRecipe(initial=initial, widths=widths, depths=depths)).eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for before, after in zip(shipped(image), grown(image), strict=True):
            torch.testing.assert_close(after, before, rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="cannot grow into"):
        new_network(SegmenterRecipe(**{**TINY, "initial": initial}))


def test_sizes_take_turns_in_batches_of_like_area(root) -> None:
    sizes = [(64, 96), (128, 96), (64, 480), (64, 64)]
    make = BatchMaker(root, SegmenterRecipe(**{**TINY, "sizes": sizes, "batch_size": 6}), "train", 3)
    for number in range(8):
        images, labels, unknown, weights = make(number)
        height, width = sizes[number % 4]
        count = (6, 3, 2, 9)[number % 4]  # never fewer than two: batch norm needs them
        assert images.shape == (count, 3, height, width)
        assert labels.shape == unknown.shape == weights.shape == (count, height, width)
    assert all(torch.equal(a, b) for a, b in zip(make(5), make(5), strict=True))


def test_batches_share_no_scene(root) -> None:
    make = BatchMaker(root, SegmenterRecipe(**{**TINY, "sizes": [(64, 96), (64, 64)]}), "train", 3)
    numbers = [[], []]
    for maker, asked in zip(make.makers, numbers, strict=True):
        maker_call = maker.__class__.__call__

        def remembers(self, number, asked=asked, call=maker_call):
            asked.append(number)
            return call(self, number)

        maker.__class__ = type("Remembering", (maker.__class__,), {"__call__": remembers})
    for number in range(6):
        make(number)
    asked = numbers[0] + numbers[1]
    assert len(asked) == len(set(asked)) == 3 * (2 + 3)


BACKBONE = {
    **{name: value for name, value in TINY.items() if name != "depths"},
    "backbone": "test_efficientnet",
    "pretrained": "none",
    "frozen_stages": 1,
    "widths": [4, 6, 8, 8],
}


def test_a_training_on_a_pretrained_encoder_leaves_statistics_and_frozen_stages_alone(root, tmp_path) -> None:
    recipe = SegmenterRecipe(**BACKBONE)
    torch.manual_seed(recipe.seed)
    path = train(recipe, root, tmp_path, progress=False)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    assert config["backbone"] == "test_efficientnet"
    network, state = StreetNet(**config), load_file(path)
    network.load_state_dict(state)
    for name, value in state.items():
        if name.startswith("encoder.") and name.endswith(("running_mean", "num_batches_tracked")):
            assert not value.any(), name
    assert state["context.1.num_batches_tracked"].item() == 2
    torch.manual_seed(recipe.seed)
    fresh = StreetNet(**config).encoder
    freeze(fresh, 1)
    frozen = [name for name, each in fresh.named_parameters() if not each.requires_grad]
    assert len(frozen) > 5
    before = {name: each.half() for name, each in fresh.named_parameters()}
    moved = {name for name, each in before.items() if not torch.equal(each, state[f"encoder.{name}"])}
    assert moved
    assert not moved & set(frozen)


def test_the_encoder_learns_more_slowly_and_its_first_stages_not_at_all() -> None:
    module = SegmenterModule(SegmenterRecipe(**{**BACKBONE, "encoder_rate": 0.2}), None, None)
    optimizer = module.configure_optimizers()["optimizer"]
    encoder = {id(each) for each in module.network.encoder.parameters() if each.requires_grad}
    frozen = [each for each in module.network.encoder.parameters() if not each.requires_grad]
    assert frozen
    assert encoder
    rates = {id(each): group["initial_lr"] for group in optimizer.param_groups for each in group["params"]}
    rate = module.recipe.learning_rate
    assert {rates[each] for each in encoder} == {0.2 * rate}
    assert not {id(each) for each in frozen} & rates.keys()
    others = {each for each in rates if each not in encoder}
    assert {rates[each] for each in others} == {rate}


def test_a_network_of_another_kind_is_no_start_for_a_backbone() -> None:
    # The pipeline's own backbone would do; this one it does not have.
    with pytest.raises(ConfigError, match="not of this recipe's backbone and widths"):
        new_network(SegmenterRecipe(**{**BACKBONE, "initial": "street"}))
