import json
import math

import pytest
import torch

from failure_parts import make_comparator
from oodseg.core.errors import ConfigError
from oodseg.failures.comparator import Comparator, class_evidence, comparator_loss
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD


def inputs(batch=2, size=(32, 48)):
    torch.manual_seed(3)
    shares = torch.rand(batch, 3, *size).softmax(1)
    return torch.rand(batch, 3, *size), shares, torch.rand(batch, 3, *size)


@pytest.mark.parametrize("resynthesis", [False, True])
def test_shapes(resynthesis) -> None:
    error, quality = make_comparator(resynthesis)(*inputs())
    assert error.shape == (2, 16, 24)
    assert quality.shape == (2, 3)
    assert error.dtype == quality.dtype == torch.float32


def test_direct_prediction_has_one_encoder_and_looks_at_no_resynthesis() -> None:
    image, shares, made = inputs()
    direct, both = make_comparator(False), make_comparator(True)
    assert (len(direct.encoders), len(both.encoders)) == (1, 2)
    assert torch.equal(direct(image, shares)[0], direct(image, shares, made)[0])
    assert not torch.equal(both(image, shares, made)[0], both(image, shares, 1 - made)[0])


def test_every_weight_learns() -> None:
    network = make_comparator().train().requires_grad_(True)
    error, quality = network(*inputs())
    (error.square().mean() + quality.square().mean()).backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.parameters())


def test_learns_where_the_images_differ() -> None:
    network = make_comparator().train().requires_grad_(True)
    image, shares, _ = inputs(4)
    truth = torch.zeros(4, 32, 48, dtype=torch.long)
    labels = truth.clone()
    for row in range(4):
        labels[row, 8 * row : 8 * row + 8] = 1
    made = torch.where((labels == truth)[:, None], image, 1 - image)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    true = torch.tensor([[0.75, 0.25, math.nan]] * 4)
    losses = []
    for _ in range(60):
        error, quality = network(image, shares, made)
        parts = comparator_loss(error, quality, torch.ones(4, 32, 48), labels, truth, true)
        optimizer.zero_grad()
        sum(parts.values()).backward()
        optimizer.step()
        losses.append({name: value.item() for name, value in parts.items()})
    assert losses[-1]["pixels"] < 0.4 * losses[0]["pixels"]
    assert losses[-1]["classes"] < 0.2 * losses[0]["classes"]


def test_loss_by_hand() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    truth = labels.clone()
    truth[0, 0] = 255
    true = torch.tensor([[1.0, math.nan]])
    confidence = torch.full((1, 4, 4), 0.5)
    parts = comparator_loss(torch.zeros(1, 2, 2), torch.zeros(1, 2), confidence, labels, truth, true)
    assert parts["pixels"].item() == pytest.approx(0.25 * math.log(2))
    assert parts["classes"].item() == pytest.approx(0.5 * 0.5**2)
    nothing = comparator_loss(
        torch.zeros(1, 2, 2), torch.zeros(1, 2), confidence, labels, torch.full_like(truth, 255),
        torch.full((1, 2), math.nan),
    )  # fmt: skip
    assert [each.item() for each in nothing.values()] == [0, 0]


def test_evidence_by_hand() -> None:
    # Four pixels, two of each of the first two classes; the second is half wrong.
    share = torch.tensor([[[0.9, 0.7, 0.2, 0.4], [0.1, 0.2, 0.8, 0.6], [0.0, 0.1, 0.0, 0.0]]])
    wrong = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    found = class_evidence(share, wrong)[0]
    area = math.log(3) / math.log(5)
    # What is wrong under the second class goes to the first: 0.5 * 0.2 / 0.2 + 0.5 * 0.4 / 0.4 = 1 pixel.
    assert found[0].tolist() == pytest.approx([area, 1.0, 2 / (2 + 1), 0.8, 1.6 / (2 + 0.6)])
    assert found[1].tolist() == pytest.approx([area, 0.5, 0.5, 0.7, 1.4 / (2 + 0.3)])
    assert found[2].tolist() == pytest.approx([0, 0, 0, 0, 0])


def test_evidence_stays_in_range_where_the_segmenter_is_certain() -> None:
    share = torch.zeros(1, 3, 8)
    share[:, 1] = 1
    found = class_evidence(share, torch.ones(1, 8))
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("resynthesis", [False, True])
def test_the_expected_iou_is_what_the_error_map_says(resynthesis) -> None:
    network = Comparator(3, [4, 6], fused=4, resynthesis=resynthesis).eval()
    images, shares, other = inputs()
    other = other if resynthesis else None
    with torch.no_grad():
        network.error_head.weight.zero_()
        found = {}
        for odds in (-20.0, 20.0):
            network.error_head.bias.fill_(odds)
            error, quality, found[odds] = network.judge(images, shares, other)
            both = network(images, shares, other)
        half = torch.nn.functional.interpolate(shares, error.shape[-2:], mode="area").flatten(2)
    assert torch.equal(both[0], error)
    assert torch.equal(both[1], quality)
    predicted = (half == half.amax(1, keepdim=True)).any(2)
    assert torch.allclose(found[-20.0][predicted], torch.ones(int(predicted.sum())), atol=1e-3)
    assert (found[20.0] < 1e-3).all()


def test_config_rebuilds_the_comparator() -> None:
    network = make_comparator()
    twin = Comparator(**json.loads(json.dumps(network.config))).eval()
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network(*inputs())[0], twin(*inputs())[0])


def test_impossible_settings() -> None:
    with pytest.raises(ConfigError, match="two widths"):
        Comparator(3, [8])


def test_the_branch_for_unknown_objects_leaves_the_rest_as_it_is() -> None:
    plain, taught = make_comparator(), make_comparator(unknown=True)
    missing = taught.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys
    assert all(each.startswith("unknown.") for each in missing.missing_keys)
    for one, other in zip(plain(*inputs()), taught(*inputs()), strict=True):
        assert torch.equal(one, other)
    told = taught.tell_unknown(*inputs())
    assert told.shape == plain(*inputs())[0].shape
    assert told.dtype == torch.float32
    assert told.std() > 0
    assert Comparator(**taught.config).unknown is not None
    with pytest.raises(ConfigError, match="oodseg train unknown"):
        plain.tell_unknown(*inputs())


def test_pretrained_encoders_see_the_image_as_they_were_taught_to() -> None:
    torch.manual_seed(0)
    network = Comparator(3, fused=4, short_side=64, backbone="tf_efficientnet_lite0").train()
    assert network.multiple == 32
    assert network.widths == (16, 24, 40, 112, 320)
    assert not any(each.training for each in network.encoders[0].encoder.modules())
    image, shares, made = inputs(size=(64, 64))
    network.eval()
    levels = network.encoders[0](image, shares)
    expected = network.encoders[0].encoder((image - ENCODER_MEAN) / ENCODER_STD)
    for one, other in zip(levels, expected, strict=True):
        torch.testing.assert_close(one, other)
    error, quality = network(image, shares, made)
    assert error.shape == (2, 32, 32)
    assert quality.shape == (2, 3)
    again = Comparator(**network.config)
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again.eval()(image, shares, made)[0], error)
    one, other = (dict(each.encoder.named_parameters()) for each in network.encoders)
    assert all(one[name] is not other[name] for name in one), "they share nothing"
