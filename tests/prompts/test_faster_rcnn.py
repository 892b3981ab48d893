import json
import math

import pytest
import torch

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.registry import resolve
from oodseg.prompts import PROMPTS, PromptGenerator
from oodseg.prompts.faster_rcnn import Canvas, FasterRCNNPrompts
from oodseg.prompts.geometry import overlap_of_smaller


@pytest.fixture(scope="module")
def generator() -> FasterRCNNPrompts:
    torch.manual_seed(0)
    return FasterRCNNPrompts(min_confidence=0.3)


def test_is_registered_and_rebuilt_from_its_config(generator) -> None:
    config = json.loads(json.dumps(generator.config))
    again = resolve(PROMPTS, "prompts", "faster_rcnn")(**config)
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


def test_no_pictures_no_results(generator) -> None:
    assert generator.propose(torch.zeros(0, 32, 32)) == []


def test_pictures_of_a_batch_do_not_see_each_other(generator) -> None:
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
    generator.config["min_confidence"] = middle
    proposals = generator.propose(scores)[0]
    count = int((candidates.confidence >= middle).sum())
    assert 0 < count <= len(candidates.boxes)
    assert torch.equal(proposals.boxes, candidates.boxes[:count])
    generator.config["min_confidence"] = 1.0
    assert len(generator.propose(scores)[0].boxes) == 0


def test_nested_boxes_go() -> None:
    torch.manual_seed(0)
    scores = torch.randn(1, 128, 160)
    strict, loose = FasterRCNNPrompts(nested=0.6), FasterRCNNPrompts(nested=1.0)
    loose.load_state_dict(strict.state_dict())
    few, many = strict.candidates(scores)[0].boxes, loose.candidates(scores)[0].boxes
    assert 0 < len(few) < len(many)
    assert float((overlap_of_smaller(few) - torch.eye(len(few))).max()) <= 0.6 + 1e-6


def test_a_higher_score_makes_a_box_surer() -> None:
    generator = FasterRCNNPrompts(calibration=(1.0, 0.5, -1.0))
    boxes = torch.tensor([[0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 60.0, 60.0]])
    score = torch.zeros(64, 64)
    score[30:60, 30:60] = 4.0
    found, confidence = generator.ranked(boxes, torch.tensor([0.6, 0.5]), score)
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
        ({"min_confidence": 1.5}, "min_confidence"),
        ({"nms": -0.1}, "nms"),
        ({"nested": 2.0}, "nested"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"calibration": (0.0, 0.0, 0.0)}, "calibration"),
        ({"calibration": (1.0, 0.0)}, "calibration"),
    ],
)
def test_refuses(arguments, says) -> None:
    with pytest.raises(ConfigError, match=says):
        FasterRCNNPrompts(**arguments)


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
