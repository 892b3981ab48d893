import json

import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmenter
from oodseg.core.taxonomy import CLASSES
from oodseg.segmenters.street import STRIDE, StreetNet, pad_to_stride

TINY = {"widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1]}


@pytest.fixture
def network():
    return StreetNet(**TINY).eval()


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 32), (2, 64, 96), (1, 96, 160)])
@torch.no_grad()
def test_shapes(network, batch, height, width) -> None:
    logits, objectness = network(torch.rand(batch, 3, height, width))
    assert logits.shape == (batch, len(CLASSES), height // 4, width // 4)
    assert objectness.shape == (batch, height // 2, width // 2)
    assert logits.isfinite().all()
    assert objectness.isfinite().all()


@torch.no_grad()
def test_features_coarse_to_fine(network) -> None:
    levels = network.features(torch.rand(1, 3, 64, 64))
    assert [tuple(each.shape[1:]) for each in levels] == [(8, 4, 4), (8, 8, 8), (6, 16, 16), (4, 32, 32)]


@torch.no_grad()
def test_without_objectness() -> None:
    network = StreetNet(**TINY, objectness=False).eval()
    logits, objectness = network(torch.rand(1, 3, 32, 32))
    assert objectness is None
    assert logits.shape[1] == 7
    assert not any(name.startswith(("fine", "object_head")) for name in network.state_dict())


@torch.no_grad()
def test_config_rebuilds_the_network(network) -> None:
    config = json.loads(json.dumps(network.config))
    twin = StreetNet(**config).eval()
    twin.load_state_dict(network.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    for mine, other in zip(network(picture), twin(picture), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
    assert twin.config == network.config


@torch.no_grad()
def test_pictures_of_a_batch_do_not_touch(network) -> None:
    pictures = torch.rand(3, 3, 32, 64)
    together = network(pictures)[0]
    alone = torch.cat([network(each[None])[0] for each in pictures])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_every_weight_learns() -> None:
    network = StreetNet(**TINY).train()
    logits, objectness = network(torch.rand(2, 3, 64, 64))
    (logits.square().mean() + objectness.square().mean()).backward()
    assert [name for name, each in network.named_parameters() if each.grad is None] == []


def test_objects_are_rare_at_the_start(network) -> None:
    assert network.object_head.bias.item() == -2


@pytest.mark.parametrize("config", [{"widths": [4, 4]}, {"depths": [1, 1, 1]}])
def test_a_wrong_number_of_stages(config) -> None:
    with pytest.raises(ConfigError, match="five widths and four depths"):
        StreetNet(**{**TINY, **config})


@pytest.mark.parametrize(("size", "padded"), [
    ((32, 64), (32, 64)), ((33, 64), (64, 64)), ((1, 1), (32, 32)), ((720, 1280), (736, 1280)),
])  # fmt: skip
def test_padding(size, padded) -> None:
    pictures = torch.rand(2, 3, *size)
    result = pad_to_stride(pictures)
    assert result.shape == (2, 3, *padded)
    torch.testing.assert_close(result[..., : size[0], : size[1]], pictures, rtol=0, atol=0)
    torch.testing.assert_close(result[..., -1, -1], pictures[..., -1, -1], rtol=0, atol=0)
    assert all(side % STRIDE == 0 for side in result.shape[-2:])


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_segment_covers_the_picture(size, network):
    net = network
    images = torch.rand(2, 3, *size)
    found = net.segment(images)
    assert isinstance(net, Segmenter)
    with torch.inference_mode():
        logits, _ = net(pad_to_stride(images))
        torch.testing.assert_close(net.class_head(found.features), found.logits, rtol=1e-4, atol=1e-5)
    full = torch.nn.functional.interpolate(
        logits, pad_to_stride(images).shape[-2:], mode="bilinear", align_corners=False
    )[..., : size[0], : size[1]]
    expected = logits if size == (64, 96) else full
    torch.testing.assert_close(found.logits, expected)


ON = {"widths": [4, 6, 8, 8], "backbone": "test_efficientnet"}


@torch.no_grad()
def test_on_a_pretrained_encoder_shapes_are_the_same() -> None:
    network = StreetNet(**ON).eval()
    logits, objectness = network(torch.rand(2, 3, 64, 96))
    assert (logits.shape, objectness.shape) == ((2, 7, 16, 24), (2, 32, 48))
    levels = network.features(torch.rand(1, 3, 64, 64))
    stem = network.encoder.feature_info.channels()[0]
    assert [tuple(each.shape[1:]) for each in levels] == [(8, 4, 4), (8, 8, 8), (6, 16, 16), (stem, 32, 32)]
    assert StreetNet(**ON, objectness=False).eval()(torch.rand(1, 3, 32, 32))[1] is None


@torch.no_grad()
def test_on_a_pretrained_encoder_the_config_rebuilds_the_network() -> None:
    network = StreetNet(**ON, classes=["road", "car"]).eval()
    config = json.loads(json.dumps(network.config))
    assert config == {**ON, "objectness": True, "classes": ["road", "car"]}
    twin = StreetNet(**config).eval()
    twin.load_state_dict(network.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    for mine, other in zip(network(picture), twin(picture), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_training_leaves_the_encoders_statistics_alone_and_reaches_all_weights() -> None:
    network = StreetNet(**ON).train()
    before = {name: each.clone() for name, each in network.named_buffers()}
    logits, objectness = network(torch.rand(2, 3, 64, 64))
    (logits.square().mean() + objectness.square().mean()).backward()
    changed = {name for name, each in network.named_buffers() if not torch.equal(each, before[name])}
    assert not any(name.startswith("encoder.") for name in changed)
    assert "context.1.running_mean" in changed
    assert [name for name, each in network.named_parameters() if each.grad is None] == []
    assert network.training
    assert not network.encoder.training
    assert not network.eval().training


@torch.no_grad()
def test_the_encoder_sees_what_it_was_trained_on() -> None:
    network, seen = StreetNet(**ON).eval(), []
    network.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.full((1, 3, 32, 32), 0.498))
    network(torch.ones(1, 3, 32, 32))
    assert seen[0].abs().max() < 1e-5
    torch.testing.assert_close(seen[1], torch.ones(1, 3, 32, 32))


def test_a_decoder_on_an_encoder_takes_four_widths() -> None:
    with pytest.raises(ConfigError, match="takes four widths"):
        StreetNet(**{**ON, "widths": [4, 6, 8, 8, 8]})
