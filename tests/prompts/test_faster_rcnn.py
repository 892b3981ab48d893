import json
import math

import pytest
import torch

from oodseg.core.base import plain
from oodseg.core.build import construct
from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import OPERATING_POINTS, describe
from oodseg.prompts import PromptGenerator
from oodseg.prompts.components import ComponentPrompts
from oodseg.prompts.faster_rcnn import FasterRCNNPrompts
from oodseg.prompts.geometry import overlap_of_smaller
from oodseg.prompts.rcnn import Canvas
from oodseg.prompts.reading import Reading

CHANNELS = (6, 10)


def reading(
    quiet: float, balanced: float = 0.0, thorough: float = 0.0, calibration=(1.0, 0.0, 0.0)
) -> Reading:
    return Reading(calibration, {"quiet": quiet, "balanced": balanced, "thorough": thorough})


@pytest.fixture(scope="module")
def generator() -> FasterRCNNPrompts:
    torch.manual_seed(0)
    return FasterRCNNPrompts(score_only=reading(0.3, 0.2, 0.1))


@pytest.fixture(scope="module")
def joining() -> FasterRCNNPrompts:
    """One that reads image features too, and takes its confidences otherwise where it has them."""
    torch.manual_seed(2)
    return FasterRCNNPrompts(
        features=CHANNELS,
        with_features=reading(0.3, 0.2, 0.1, calibration=(1.0, 0.0, -0.5)),
        score_only=reading(0.4, calibration=(1.0, 0.0, 0.5)),
    )


def maps(batch: int, height: int, width: int) -> list[torch.Tensor]:
    """Image features of a canvas of that size, at strides 8 and 16."""
    return [
        torch.randn(batch, channels, height // stride, width // stride)
        for channels, stride in zip(CHANNELS, (8, 16), strict=True)
    ]


def test_is_registered_and_rebuilt_from_its_config(generator) -> None:
    described = json.loads(json.dumps(describe(generator)))
    again = construct("prompts", described, weights_follow=True)
    assert isinstance(again, PromptGenerator)
    assert again.config == generator.config
    again.load_state_dict(generator.state_dict())
    scores = torch.randn(1, 64, 96)
    assert torch.equal(again.candidates(scores)[0].boxes, generator.candidates(scores)[0].boxes)


def test_is_compact(generator) -> None:
    assert sum(each.numel() for each in generator.parameters()) <= 4_000_000
    assert not generator.training


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (7, 5), (64, 64), (90, 130)])
@pytest.mark.parametrize("fill", ["flat", "low", "high", "noise"])
def test_contract_holds_for_any_map(generator, size, fill) -> None:
    value = {"flat": 0.0, "low": -4.0, "high": 16.0, "noise": 0.0}[fill]
    scores = torch.full((2, *size), value) + (torch.randn(2, *size) if fill == "noise" else 0.0)
    results = generator.candidates(scores)
    assert len(results) == 2
    for each in results:
        assert each.boxes.shape == (len(each.confidence), 4)
        assert each.boxes.dtype == each.confidence.dtype == torch.float32
        assert len(each.boxes) <= 100
        assert bool((each.confidence.diff() <= 0).all())
        assert bool(((each.confidence >= 0) & (each.confidence <= 1)).all())
        assert bool((each.boxes >= 0).all())
        assert bool((each.boxes[:, 0::2] <= size[1]).all())
        assert bool((each.boxes[:, 1::2] <= size[0]).all())


def test_no_images_no_results(generator) -> None:
    assert generator.propose(torch.zeros(0, 32, 32)) == []


def test_images_of_a_batch_do_not_see_each_other(generator) -> None:
    scores = torch.randn(2, 70, 90)
    together = generator.candidates(scores)
    alone = generator.candidates(scores[1:])[0]
    torch.testing.assert_close(together[1].boxes, alone.boxes, atol=1e-2, rtol=1e-3)


def test_proposals_are_the_first_candidates() -> None:
    torch.manual_seed(1)
    generator = FasterRCNNPrompts()
    scores = torch.randn(1, 96, 128)
    candidates = generator.candidates(scores)[0]
    middle = float(candidates.confidence[len(candidates.confidence) // 2])
    generator.score_only = Reading(operating_points={"quiet": middle, "balanced": 0.0, "thorough": 1.0})
    proposals = generator.propose(scores)[0]
    count = int((candidates.confidence >= middle).sum())
    assert 0 < count <= len(candidates.boxes)
    assert torch.equal(proposals.boxes, candidates.boxes[:count])
    assert torch.equal(generator.propose(scores, None, "balanced")[0].boxes, candidates.boxes)
    assert len(generator.propose(scores, operating_point="thorough")[0].boxes) == 0
    assert generator.least_confidence("quiet", with_features=False) == middle
    assert ComponentPrompts().least_confidence("quiet", with_features=False) == 0, "it ignores the point"


def test_nested_boxes_go() -> None:
    torch.manual_seed(0)
    scores = torch.randn(1, 128, 160)
    strict, loose = FasterRCNNPrompts(nested=0.6), FasterRCNNPrompts(nested=1.0)
    loose.load_state_dict(strict.state_dict())
    few, many = strict.candidates(scores)[0].boxes, loose.candidates(scores)[0].boxes
    assert 0 < len(few) < len(many)
    assert float((overlap_of_smaller(few) - torch.eye(len(few))).max()) <= 0.6 + 1e-6


def test_a_higher_score_makes_a_box_surer() -> None:
    generator = FasterRCNNPrompts()
    boxes = torch.tensor([[0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 60.0, 60.0]])
    score = torch.zeros(64, 64)
    score[30:60, 30:60] = 4.0
    found, confidence = generator.ranked(boxes, torch.tensor([0.6, 0.5]), score, Reading((1.0, 0.5, -1.0)))
    assert torch.equal(found, boxes.flip(0))
    wanted = torch.tensor([0.0 + 0.5 * 4 - 1, math.log(0.6 / 0.4) - 1]).sigmoid()
    torch.testing.assert_close(confidence, wanted)


def test_canvas_keeps_size_and_pads_with_the_mean() -> None:
    images = [torch.ones(1, 5, 70), torch.ones(1, 64, 3)]
    padded, _ = Canvas(64)(images)
    assert padded.image_sizes == [(5, 70), (64, 3)]
    assert padded.tensors.shape == (2, 1, 64, 128)
    assert padded.tensors.sum().item() == 5 * 70 + 64 * 3
    assert bool((padded.tensors[0, :, :5, :70] == 1).all())


def test_losses_are_finite_and_reach_every_weight() -> None:
    generator = FasterRCNNPrompts()
    generator.train()
    boxes = [torch.tensor([[4.0, 4.0, 30.0, 40.0], [50.0, 10.0, 90.0, 60.0]]), torch.zeros(0, 4)]
    losses = generator.losses([torch.randn(64, 96), torch.randn(60, 80)], boxes)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert set(losses) == {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"}
    assert bool(total.isfinite())
    assert all(each.grad is not None for each in generator.parameters())


def test_resnet50_is_one_config_line_away() -> None:
    generator = FasterRCNNPrompts(backbone="resnet50")
    assert generator.in_channels == 3
    assert generator.rcnn.rpn._post_nms_top_n == {"training": 1000, "testing": 1000}
    assert generator.rcnn.roi_heads.box_head.fc6.out_features == 1024
    # Untrained batch norm makes features of any scale; here only the way through counts.
    assert len(generator.propose(torch.zeros(1, 32, 32))) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backbone": "vgg"}, "no backbone 'vgg'"),
        ({"nms": -0.1}, "nms"),
        ({"nested": 2.0}, "nested"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"backbone": "resnet50", "features": (4, 4)}, "choose 'compact' to join features"),
    ],
)
def test_refuses(arguments, says) -> None:
    with pytest.raises(ConfigError, match=says):
        FasterRCNNPrompts(**arguments)


@pytest.mark.parametrize(
    ("calibration", "points", "says"),
    [
        ((0.0, 0.0, 0.0), [0.5, 0.5, 0.5], "calibration"),
        ((1.0, 0.0), [0.5, 0.5, 0.5], "calibration"),
        ((1.0, 0.0, 0.0), [1.5, 0.0, 0.0], "operating points need a confidence in 0..1"),
        ((1.0, 0.0, 0.0), [0.5, 0.5, -0.1], "operating points need a confidence in 0..1"),
        ((1.0, 0.0, 0.0), [0.5], "quiet, balanced, thorough"),
    ],
)
def test_refuses_confidences_that_mean_nothing(calibration, points, says) -> None:
    with pytest.raises(ConfigError, match=says):
        Reading(calibration, dict(zip(OPERATING_POINTS, points, strict=False)))


def test_refuses_wrong_scores(generator) -> None:
    with pytest.raises(ScoreMapError):
        generator.propose(torch.zeros(4, 4))
    with pytest.raises(ScoreMapError):
        generator.propose(torch.full((1, 4, 4), float("inf")))


def test_a_flat_first_map_does_not_change_what_is_seen_in_later_ones() -> None:
    first, second = FasterRCNNPrompts(), FasterRCNNPrompts()
    second.load_state_dict(first.state_dict())
    scores = torch.randn(1, 128, 160)
    first.candidates(torch.randn(1, 16, 160))
    assert torch.equal(first.candidates(scores)[0].boxes, second.candidates(scores)[0].boxes)


def same(found, expected) -> bool:
    return torch.equal(found.boxes, expected.boxes) and torch.equal(found.confidence, expected.confidence)


def test_with_features_it_is_rebuilt_from_its_config(joining) -> None:
    again = construct("prompts", json.loads(json.dumps(describe(joining))), weights_follow=True)
    assert again.config == joining.config
    again.load_state_dict(joining.state_dict())
    scores, features = torch.randn(1, 64, 128), maps(1, 64, 128)
    assert same(again.candidates(scores, features)[0], joining.candidates(scores, features)[0])


def test_features_change_what_is_found(joining) -> None:
    scores = torch.randn(1, 64, 128)
    first, second = (joining.candidates(scores, maps(1, 64, 128))[0] for _ in range(2))
    assert not same(first, second)
    assert not same(first, joining.candidates(scores)[0])


def test_features_of_nothing_but_zeros_are_none_at_all(joining) -> None:
    scores = [torch.randn(60, 100), torch.randn(64, 128)]
    nothing = [[torch.zeros_like(each[0]) for each in maps(1, 64, 128)] for _ in scores]
    with torch.inference_mode():
        levels = [joining.detect(scores, features)[0] for features in (nothing, None, [None, None])]
    for zeros, none, hidden in zip(*levels, strict=True):
        assert torch.equal(none["boxes"], hidden["boxes"])
        torch.testing.assert_close(zeros["boxes"], none["boxes"])
        torch.testing.assert_close(zeros["scores"], none["scores"])


def test_a_batch_may_hide_the_features_of_some(joining) -> None:
    scores, features = torch.randn(2, 64, 128), maps(1, 64, 128)
    shown = [each[0] for each in features]
    with torch.inference_mode():
        first, second = joining.detect(list(scores), [None, shown])[0]
        alone, seen = joining.detect([scores[0]])[0][0], joining.detect([scores[1]], [shown])[0][0]
    torch.testing.assert_close(first["boxes"], alone["boxes"], atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(second["boxes"], seen["boxes"], atol=1e-2, rtol=1e-3)


def test_features_are_cut_or_filled_up_to_the_canvas(joining) -> None:
    """Detectors pad to a multiple of theirs, generators to 64."""
    small, large = [torch.ones_like(each[0]) for each in maps(1, 32, 96)], maps(1, 192, 256)
    canvas = torch.zeros(1, 1, 64, 128)
    for level, stride in enumerate((8, 16)):
        joined = joining._joined(canvas, [small])
        assert joined[level].shape == (1, CHANNELS[level], 64 // stride, 128 // stride)
        assert joined[level].sum().item() == CHANNELS[level] * (32 // stride) * (96 // stride)
        assert bool((joined[level][0, :, : 32 // stride, : 96 // stride] == 1).all())
        cut = joining._joined(canvas, [[each[0] for each in large]])[level]
        assert torch.equal(cut[0], large[level][0, :, : 64 // stride, : 128 // stride])


def test_a_generator_of_scores_alone_ignores_features(generator) -> None:
    scores = torch.randn(1, 64, 128)
    for point in ("quiet", "balanced", "thorough"):
        plain = generator.propose(scores, operating_point=point)[0]
        assert same(generator.propose(scores, maps(1, 64, 128), point)[0], plain)


def test_confidences_are_read_by_what_was_seen(joining, generator) -> None:
    assert joining.reading(True) is joining.with_features
    assert joining.reading(False) is joining.score_only
    assert generator.reading(True) is generator.reading(False) is generator.score_only
    scores, features = torch.randn(1, 64, 128), maps(1, 64, 128)
    with torch.inference_mode():
        raw = joining.detect([scores[0]])[0][0]["scores"].max()
        seen = joining.detect([scores[0]], [[each[0] for each in features]])[0][0]["scores"].max()
    expected = (torch.logit(raw) + 0.5).sigmoid()
    torch.testing.assert_close(joining.candidates(scores)[0].confidence[0], expected)
    expected = (torch.logit(seen) - 0.5).sigmoid()
    torch.testing.assert_close(joining.candidates(scores, features)[0].confidence[0], expected)
    # Each has operating points of its own.
    for given, least in ((None, 0.4), (features, 0.3)):
        sure = joining.candidates(scores, given)[0].confidence >= least
        assert len(joining.propose(scores, given)[0].boxes) == int(sure.sum())


def test_losses_reach_what_joins_the_features() -> None:
    network = FasterRCNNPrompts(features=CHANNELS).train()
    boxes = [torch.tensor([[4.0, 4.0, 30.0, 40.0]]), torch.zeros(0, 4)]
    scores = [torch.randn(64, 96), torch.randn(60, 80)]
    hidden = network.losses(scores, boxes, [None, None])
    torch.stack(list(hidden.values())).sum().backward()
    assert [each.weight.grad for each in network.rcnn.backbone.join] == [None, None]
    features = [[each[0] for each in maps(1, 64, 128)], None]
    losses = network.losses(scores, boxes, features)
    torch.stack(list(losses.values())).sum().backward()
    assert all(bool(each.weight.grad.abs().sum() > 0) for each in network.rcnn.backbone.join)


def test_readings_survive_json() -> None:
    first = Reading((1.5, 0.25, -2.0), {"thorough": 0.1, "quiet": 0.9, "balanced": 0.5})
    given = json.loads(json.dumps(plain(first)))
    assert list(given["operating_points"]) == ["quiet", "balanced", "thorough"]
    assert Reading(**given) == first


def test_setting_an_argument_takes_effect():
    torch.manual_seed(0)
    prompts = FasterRCNNPrompts()
    score = torch.randn(1, 96, 128) * 3
    few = FasterRCNNPrompts(nms=0.05, max_boxes=3)
    few.load_state_dict(prompts.state_dict())
    before = prompts.candidates(score)[0]
    prompts.nms, prompts.max_boxes = 0.05, 3
    after, expected = prompts.candidates(score)[0], few.candidates(score)[0]
    assert len(before.boxes) > len(after.boxes) > 0
    assert torch.equal(after.boxes, expected.boxes)
