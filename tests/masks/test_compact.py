import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from oodseg.core.errors import ConfigError
from oodseg.core.registry import resolve
from oodseg.masks import MASKS, growth
from oodseg.masks.cleanup import box_pixels
from oodseg.masks.compact import IMAGE_MEAN, IMAGE_STD, CompactSegmenter
from oodseg.masks.crops import crop_regions

HEIGHT, WIDTH = 60, 80


def tiny(bias=None):
    """An untrained network; with a bias that drowns all else, it draws all or nothing."""
    torch.manual_seed(1)
    network = CompactSegmenter(size=16, context=1.5, widths=(8, 12), depths=(1, 1), use_scores=True)
    if bias is not None:
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.constant_(network.head.bias, bias)
    return network.eval()


@pytest.fixture
def image():
    return torch.rand(3, HEIGHT, WIDTH)


def some_boxes(count):
    corners = torch.rand(count, 2) * torch.tensor([70.0, 50.0])
    return torch.cat([corners, corners + 1 + torch.rand(count, 2) * 30], dim=1)


def test_rebuilt_from_json_and_half_precision_it_draws_the_same(image, tmp_path):
    network = tiny()
    state = {
        name: each.half() if each.is_floating_point() else each for name, each in network.state_dict().items()
    }
    save_file(state, tmp_path / "masks.safetensors")
    config = json.loads(json.dumps(network.config))
    rebuilt = resolve(MASKS, "masks", "compact")(**config)
    loaded = load_file(tmp_path / "masks.safetensors")
    rebuilt.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in loaded.items()}, strict=True
    )
    boxes = some_boxes(6)
    expected = network.segment(network.embed(image), boxes)
    drawn = rebuilt.segment(rebuilt.embed(image), boxes)
    assert drawn.dtype == torch.bool
    assert drawn.shape == (6, HEIGHT, WIDTH)
    assert (drawn == expected).float().mean() > 0.98


@given(
    x0=st.floats(-30, 90), y0=st.floats(-30, 70), width=st.floats(0, 100), height=st.floats(0, 80),
    bias=st.sampled_from([None, 50.0, -50.0]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_mask_lies_in_its_region_and_is_empty_only_off_the_image(x0, y0, width, height, bias):
    network = tiny(bias)
    boxes = torch.tensor([[x0, y0, x0 + width, y0 + height]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "ROUNDS", 0)
        mask = network.segment(network.embed(torch.rand(3, HEIGHT, WIDTH)), boxes)[0]
    on_image = box_pixels(boxes[0].tolist(), HEIGHT, WIDTH)
    touches = on_image[0].stop > 0
    assert bool(mask.any()) == touches
    if not touches:
        return
    rows, columns = mask.nonzero(as_tuple=True)
    left, top, right, bottom = crop_regions(boxes, 1.5)[0].tolist()
    assert left <= columns.min() + 0.5
    assert columns.max() + 0.5 <= right
    assert top <= rows.min() + 0.5
    assert rows.max() + 0.5 <= bottom
    assert mask[on_image].any()


def test_what_the_network_leaves_empty_is_the_filled_box(image):
    network = tiny(bias=-50.0)
    mask = network.segment(network.embed(image), torch.tensor([[10.0, 20, 30, 40]]))[0]
    assert mask.sum() == 400
    assert mask[20:40, 10:30].all()


def test_what_the_network_fills_is_the_whole_region(image, monkeypatch):
    monkeypatch.setattr(growth, "ROUNDS", 0)
    network = tiny(bias=50.0)
    mask = network.segment(network.embed(image), torch.tensor([[10.0, 20, 30, 40]]))[0]
    assert mask.sum() == 900
    assert mask[15:45, 5:35].all()


def test_together_as_one_by_one_over_several_batches(image):
    network = tiny()
    embedding = network.embed(image)
    boxes = some_boxes(40)
    for scores in (None, torch.randn(30, 40) * 3):
        together = network.segment(embedding, boxes, scores)
        single = torch.cat([network.segment(embedding, box[None], scores) for box in boxes])
        # Bit for bit only where the processor rounds alike in every batch size.
        assert (together == single).float().mean() > 0.999


def test_segmenting_leaves_the_statistics_of_a_training_network_alone(image):
    network = tiny().train()
    before = {name: each.clone() for name, each in network.state_dict().items()}
    network.segment(network.embed(image), some_boxes(3))
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())


def test_the_score_channel_follows_the_score_map_at_any_resolution(image):
    network = tiny()
    embedding = network.embed(image)
    boxes = torch.tensor([[20.0, 20, 50, 40], [-10, -10, 10, 10]])
    regions = crop_regions(boxes, 1.5)
    plain = network._crops(embedding, boxes, regions, None)
    assert plain.shape == (2, 6, 16, 16)
    assert plain[:, 4:].abs().max() == 0
    for height, width in ((HEIGHT, WIDTH), (15, 20)):
        with_score = network._crops(embedding, boxes, regions, torch.full((height, width), 8.0))
        torch.testing.assert_close(with_score[:, :4], plain[:, :4])
        torch.testing.assert_close(with_score[0, 4], torch.full((16, 16), 2.0))
        assert with_score[1, 4, 0, 0] == 0  # off the image
        assert (with_score[:, 5] == 1).all()
    clamped = network._crops(embedding, boxes, regions, torch.full((15, 20), 16.0))[0, 4]
    assert clamped.max() == 3


def test_a_network_told_not_to_use_scores_ignores_them(image):
    network = tiny()
    network.use_scores = False
    embedding, boxes = network.embed(image), some_boxes(2)
    with_score = network.segment(embedding, boxes, torch.full((HEIGHT, WIDTH), 8.0))
    assert torch.equal(with_score, network.segment(embedding, boxes))


def test_off_the_image_crops_have_the_mean_colour(image):
    network = tiny()
    boxes = torch.tensor([[-60.0, -60, -40, -40]])
    crop = network._crops(network.embed(image), boxes, crop_regions(boxes, 1.5), None)
    assert crop[:, :3].abs().max() < 1e-6


@pytest.mark.parametrize(
    "arguments",
    [{"size": 100}, {"widths": (8, 8), "depths": (1,)}, {"widths": (), "depths": ()}, {"context": 0.9}],
)
def test_arguments_that_fit_no_network_are_refused(arguments):
    with pytest.raises(ConfigError, match="compact"):
        CompactSegmenter(**arguments)


def on_encoder(**changes):
    torch.manual_seed(1)
    arguments = {"size": 32, "context": 1.5, "widths": [4, 6, 8, 12], "backbone": "test_efficientnet"}
    return CompactSegmenter(**{**arguments, **changes})


def test_on_a_pretrained_encoder_it_is_rebuilt_from_json(image):
    network = on_encoder(use_scores=False).eval()
    config = json.loads(json.dumps(network.config))
    assert config["backbone"] == "test_efficientnet"
    assert "depths" not in config
    rebuilt = CompactSegmenter(**config)
    assert rebuilt.config == network.config
    rebuilt.load_state_dict(network.state_dict())
    boxes = some_boxes(4)
    drawn = rebuilt.segment(rebuilt.embed(image), boxes)
    assert drawn.shape == (4, HEIGHT, WIDTH)
    assert torch.equal(drawn, network.segment(network.embed(image), boxes))


def test_on_a_pretrained_encoder_box_and_score_are_seen_at_every_stride():
    network = on_encoder().eval()
    crops = torch.randn(2, 6, 32, 32)
    with torch.no_grad():
        plain = network(crops)
        assert plain.shape == (2, 32, 32)
        for channel in range(6):
            changed = crops.clone()
            changed[:, channel] += 1
            assert not torch.allclose(network(changed), plain, atol=1e-4)
    widths = [each + 3 for each in network.encoder.feature_info.channels()]
    assert [each[0].in_channels for each in network.skips] == widths[:4]
    assert network.deep[0].in_channels == widths[4]


def test_training_leaves_the_encoders_statistics_alone_and_reaches_all_weights():
    network = on_encoder().train()
    before = {name: each.clone() for name, each in network.named_buffers()}
    network(torch.randn(2, 6, 32, 32)).square().mean().backward()
    changed = {name for name, each in network.named_buffers() if not torch.equal(each, before[name])}
    assert not any(name.startswith("encoder.") for name in changed)
    assert "deep.1.running_mean" in changed
    assert [name for name, each in network.named_parameters() if each.grad is None] == []
    assert network.training
    assert not network.encoder.training


def test_the_encoder_sees_colours_as_it_was_trained_on_them():
    network, seen = on_encoder().eval(), []
    network.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network((torch.full((1, 6, 32, 32), 0.498) - IMAGE_MEAN) / IMAGE_STD)
    assert seen[0].shape == (1, 3, 32, 32)
    assert seen[0].abs().max() < 1e-5


@pytest.mark.parametrize("change", [{"size": 48}, {"widths": [4, 6, 8]}, {"context": 0.5}])
def test_on_a_pretrained_encoder_arguments_must_fit_too(change):
    with pytest.raises(ConfigError, match="compact on test_efficientnet"):
        on_encoder(**change)
