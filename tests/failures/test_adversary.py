import pytest
import torch
from torch import nn

from failure_parts import make_generator
from oodseg.core.errors import WeightsError
from oodseg.failures.adversary import (
    MultiScaleDiscriminator,
    add_spectral_norm,
    bake_spectral_norm,
    discriminator_loss,
    encoder_features,
    feature_matching,
    generator_loss,
    perceptual_loss,
    vgg_features,
)
from oodseg.failures.spade import one_hot


def judge(**options):
    torch.manual_seed(0)
    return MultiScaleDiscriminator(3, 4, **options)


def test_hinge_losses() -> None:
    sure, fooled = [[torch.tensor([2.0])]], [[torch.tensor([-3.0])]]
    assert discriminator_loss(sure, fooled).item() == 0
    assert discriminator_loss(fooled, sure).item() == 4 + 3
    assert generator_loss(fooled).item() == 3
    assert discriminator_loss([*sure, *fooled], [*fooled, *sure]).item() == 3.5


def test_feature_matching_leaves_the_verdict_out() -> None:
    real = [[torch.zeros(2), torch.zeros(2), torch.zeros(1)]]
    fake = [[torch.ones(2), torch.full((2,), 3.0), torch.full((1,), 100.0)]]
    assert feature_matching(real, fake).item() == 4
    assert feature_matching(real, real).item() == 0


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_every_scale_judges_patches(scales) -> None:
    found = judge(scales=scales)(torch.rand(2, 3, 64, 96), one_hot(torch.zeros(2, 64, 96), 3))
    assert len(found) == scales
    assert [len(each) for each in found] == [5] * scales
    heights = [each[-1].shape[-2] for each in found]
    assert all(each[-1].shape[:2] == (2, 1) for each in found)
    assert heights == sorted(heights, reverse=True)


def test_what_is_drawn_where_no_class_is_known_is_not_judged() -> None:
    labels = torch.zeros(1, 32, 32)
    labels[..., 16:] = 255
    one, other = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    other[..., :16] = one[..., :16]
    network, planes = judge().eval(), one_hot(labels, 3)
    for ours, theirs in zip(network(one, planes), network(other, planes), strict=True):
        assert torch.equal(ours[-1], theirs[-1])


def test_gradients_reach_the_image() -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    generator_loss(judge()(image, one_hot(torch.zeros(1, 32, 32), 3))).backward()
    assert image.grad.abs().sum() > 0


def test_perceptual_loss_is_nought_for_the_same_image() -> None:
    layer = nn.Conv2d(3, 4, 3)
    image = torch.rand(1, 3, 8, 8)
    assert perceptual_loss(lambda x: [layer(x), x], image, image).item() == 0
    assert perceptual_loss(lambda x: [x, 3 * x], image, image + 0.5).item() == pytest.approx(1)


def test_spectral_norm_bounds_every_convolution_and_can_be_baked() -> None:
    generator = make_generator().requires_grad_(True)
    add_spectral_norm(generator)
    with torch.no_grad():
        for value in generator.parameters():
            value.mul_(3)
    bake_spectral_norm(generator)
    assert set(generator.state_dict()) == set(make_generator().state_dict())
    for module in generator.modules():
        if isinstance(module, nn.Conv2d):
            largest = torch.linalg.svdvals(module.weight.flatten(1).double())[0].item()
            assert largest == pytest.approx(1, abs=0.02)


def test_other_weights_for_the_perceptual_loss(tmp_path) -> None:
    torch.save({"layer": torch.zeros(1)}, tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"vgg\.pth is not a state dict of torchvision's vgg19"):
        vgg_features(tmp_path / "vgg.pth")


def test_a_pretrained_encoder_shows_five_strides_and_hands_gradients_back() -> None:
    torch.manual_seed(0)
    features = encoder_features("tf_efficientnet_lite0", "none")
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    assert [each.shape[-1] for each in features(image)] == [32, 16, 8, 4, 2]
    loss = perceptual_loss(features, torch.rand(1, 3, 64, 64), image)
    loss.backward()
    assert image.grad.abs().sum() > 0
    assert perceptual_loss(features, image.detach(), image.detach()).item() == 0
