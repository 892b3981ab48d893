import pytest
import torch
from safetensors.torch import load_file

from oodseg import S2M
from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.nn.encoders import WHEELS
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained
from oodseg.training.pretrained import freeze
from oodseg.training.segmenter import SegmenterModule, SegmenterRecipe, new_network, train
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


def test_shipped_recipe_is_on_a_pretrained_encoder() -> None:
    recipe = load_recipe("segmenter", SegmenterRecipe)
    assert recipe.backbone in WHEELS
    assert len(recipe.widths) == 4


def test_trains_writes_and_resumes(root, tmp_path) -> None:
    done = train(SegmenterRecipe(**TINY), root, tmp_path)
    state = load_file(done.path)
    assert isinstance(load_trained(tmp_path, "segmenter"), StreetNet)
    assert {each.dtype for each in state.values() if each.is_floating_point()} == {torch.float16}
    assert {"val/auprc", "val/fpr95", "val/miou"} <= set(done.metrics["validation"])
    assert done.metrics["recipe"]["max_steps"] == 2
    assert list((tmp_path / "curve").rglob("metrics.csv"))
    assert state["stem.0.1.num_batches_tracked"].item() == 2
    train(SegmenterRecipe(**{**TINY, "max_steps": 3}), root, tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    assert load_file(done.path)["stem.0.1.num_batches_tracked"].item() == 3


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
    state = load_file(train(recipe, root, tmp_path).path)
    network = load_trained(tmp_path, "segmenter")
    assert network.backbone == "test_efficientnet"
    for name, value in state.items():
        if name.startswith("encoder.") and name.endswith(("running_mean", "num_batches_tracked")):
            assert not value.any(), name
    assert state["context.1.num_batches_tracked"].item() == 2
    torch.manual_seed(recipe.seed)
    fresh = StreetNet(**network.config).encoder
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


def test_a_network_learns_from_the_mean_of_teachers_and_goes_on_from_a_run(root, tmp_path) -> None:
    for seed in (0, 1):
        train(SegmenterRecipe(**{**BACKBONE, "seed": seed}), root, tmp_path / str(seed))
    runs = [str(tmp_path / "0"), str(tmp_path / "1")]
    recipe = SegmenterRecipe(**BACKBONE, initial=runs[0], teachers=runs)
    module = SegmenterModule(recipe, None, None)
    first = load_trained(tmp_path / "0", "segmenter")
    assert all(
        torch.equal(value, first.state_dict()[name]) for name, value in module.network.state_dict().items()
    )
    batch = recipe.batches(root, "train")(0)
    module.log_dict = module.log = lambda *_: None
    images = batch[0].float() / 255
    members = [load_trained(tmp_path / run, "segmenter").eval()(images)[0] for run in ("0", "1")]
    torch.testing.assert_close(module._teacher(images)[0], torch.stack(members).mean(0))
    module.training_step(batch, 0).backward()
    assert module.network.object_head.weight.grad.abs().sum() > 0
    assert not [name for name in module.state_dict() if "teacher" in name]
    assert train(recipe, root, tmp_path / "student").metrics["recipe"]["teachers"] == runs


def test_a_weight_of_zero_leaves_the_truth_alone(root, tmp_path) -> None:
    train(SegmenterRecipe(**BACKBONE), root, tmp_path)
    losses = []
    for teachers, weight in (([], 0.7), ([str(tmp_path)], 0.0), ([str(tmp_path)], 0.7)):
        changes = {"initial": str(tmp_path), "teachers": teachers, "teacher_weight": weight}
        recipe = SegmenterRecipe(**BACKBONE, **changes)
        module = SegmenterModule(recipe, None, None)
        module.log_dict = module.log = lambda *_: None
        losses.append(module.training_step(recipe.batches(root, "train")(0), 0).item())
    assert losses[0] == losses[1] != losses[2]
