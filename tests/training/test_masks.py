import pytest
import torch
from mask_fakes import fabricate_data
from pydantic import ValidationError
from safetensors.torch import load_file

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.masks.compact import CompactSegmenter
from oodseg.nn.encoders import WHEELS
from oodseg.training.engine.recipe import load_recipe
from oodseg.training.engine.trained import load_trained
from oodseg.training.masks import MasksModule, MasksRecipe, mask_iou, mask_loss, new_network, train

TINY = {
    "size": 32, "widths": [8, 8], "depths": [1, 1], "batch_size": 2, "warmup_steps": 0, "workers": 0,
    "precision": "32-true", "val_samples": 3, "val_every_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return fabricate_data(tmp_path_factory.mktemp("data"))


def test_the_shipped_recipe_builds_its_network():
    recipe = load_recipe("masks", MasksRecipe)
    assert recipe.backbone in WHEELS
    # Without the package of the weights, and without downloading them.
    network = new_network(recipe.model_copy(update={"pretrained": "none"}))
    expected = CompactSegmenter(recipe.size, recipe.context, recipe.widths, backbone=recipe.backbone)
    assert network.config == expected.config
    assert network.config["size"] == 128
    assert new_network(MasksRecipe()).config == CompactSegmenter().config
    with pytest.raises(ValidationError):
        MasksRecipe(batch_size=0)


@pytest.mark.parametrize(
    ("drawn", "wanted", "inside", "expected"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], 1.0),
        ([1, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1], 0.5),
        ([1, 1, 1, 0], [0, 1, 1, 1], [0, 1, 1, 1], 2 / 3),
        ([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], 1.0),
        ([1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], 0.0),
    ],
)
def test_mask_iou(drawn, wanted, inside, expected):
    shape = (1, 2, 2)
    logits = torch.tensor(drawn).view(shape) * 2.0 - 1.0
    given = torch.tensor(wanted).view(shape).float(), torch.tensor(inside).view(shape).float()
    assert float(mask_iou(logits, *given)) == pytest.approx(expected)


def test_the_loss_falls_with_the_right_mask_and_ignores_what_is_off_the_image():
    target = torch.zeros(1, 16, 16)
    target[:, 4:12, 4:12] = 1
    weight = torch.ones_like(target)
    right, wrong = (target * 2 - 1) * 8, (1 - target * 2) * 8
    assert mask_loss(right, target, weight, 2.0) < 0.01
    assert mask_loss(wrong, target, weight, 2.0) > 2
    weight[:, :4] = 0
    spoilt = right.clone()
    spoilt[:, :4] = 8
    torch.testing.assert_close(
        mask_loss(spoilt, target, weight, 2.0), mask_loss(right, target, weight, 2.0), atol=1e-3, rtol=0
    )


def test_two_steps_give_weights_that_load(root, tmp_path):
    done = train(MasksRecipe(max_steps=2, **TINY), root, tmp_path)
    network = load_trained(tmp_path, "masks")
    masks = network.segment(network.embed(torch.rand(3, 40, 50)), torch.tensor([[5.0, 5, 30, 30]]))
    assert masks.shape == (1, 40, 50)
    assert set(done.metrics["validation"]) == {"val/iou", "val/iou_with_score"}
    assert 0 <= done.metrics["validation"]["val/iou"] <= 1
    assert done.metrics["recipe"]["size"] == 32
    assert (tmp_path / "curve" / "version_0" / "metrics.csv").is_file()


def test_an_interrupted_training_resumes_to_the_same_weights(root, tmp_path, monkeypatch):
    recipe = MasksRecipe(max_steps=4, checkpoint_minutes=1e-9, **TINY)
    straight = load_file(train(recipe, root, tmp_path / "straight").path)

    step = MasksModule.training_step

    def fails_at_the_third(self, batch, batch_index):
        if self.global_step == 2:
            raise RuntimeError("power cut")
        return step(self, batch, batch_index)

    with monkeypatch.context() as patched:
        patched.setattr(MasksModule, "training_step", fails_at_the_third)
        with pytest.raises(RuntimeError, match="power cut"):
            train(recipe, root, tmp_path / "cut")
    assert not (tmp_path / "cut" / "masks.safetensors").exists()
    resumed = load_file(train(recipe, root, tmp_path / "cut").path)
    for name, expected in straight.items():
        assert torch.equal(resumed[name], expected), name


def test_faults_are_told_before_the_first_step(root, tmp_path):
    with pytest.raises(ConfigError, match="compact"):
        train(MasksRecipe(max_steps=1, **{**TINY, "size": 33}), root, tmp_path)
    with pytest.raises(DatasetError, match="not a DUTS folder"):
        train(MasksRecipe(max_steps=1, **TINY), tmp_path, tmp_path / "run")


ON_ENCODER = {**TINY, "widths": [4, 6, 8, 8], "backbone": "test_efficientnet", "pretrained": "none"}


def test_on_a_pretrained_encoder_statistics_and_frozen_stages_stay(root, tmp_path):
    recipe = MasksRecipe(max_steps=2, frozen_stages=1, **ON_ENCODER)
    torch.manual_seed(0)
    loaded = load_file(train(recipe, root, tmp_path).path)
    assert load_trained(tmp_path, "masks").backbone == "test_efficientnet"
    assert loaded["head.bias"].abs().sum() > 0
    for name, value in loaded.items():
        if name.startswith("encoder.") and name.endswith(("running_mean", "num_batches_tracked")):
            assert not value.any(), name
    assert loaded["deep.1.num_batches_tracked"].item() == 2


def test_the_encoder_learns_more_slowly(root):
    module = MasksModule(MasksRecipe(encoder_rate=0.2, **ON_ENCODER), root)
    groups = module.configure_optimizers()["optimizer"].param_groups
    encoder = {id(each) for each in module.network.encoder.parameters()}
    rates = {id(each): group["initial_lr"] for group in groups for each in group["params"]}
    assert {rates[each] for each in encoder} == {0.2 * module.recipe.learning_rate}
    assert {rate for each, rate in rates.items() if each not in encoder} == {module.recipe.learning_rate}
    assert len(rates) == sum(1 for _ in module.network.parameters())
