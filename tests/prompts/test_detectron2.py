import json

import detectron2_reference as reference
import numpy as np
import pytest
import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from oodseg.core.build import construct
from oodseg.core.errors import WeightsError
from oodseg.core.parts import describe
from oodseg.core.registry import resolve
from oodseg.detectors import ScoreNormalizer
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts import PROMPTS, BoxPrompts, PromptGenerator
from oodseg.prompts.detectron2 import DetectronPrompts, convert

PROPOSALS = 150  # of the 1,000 that are kept: the reference is slow


@pytest.fixture(scope="module")
def state():
    return reference.random_state()


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "model_final.pth"
    extra = {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}
    extra["proposal_generator.anchor_generator.cell_anchors.0"] = torch.zeros(3, 4)
    torch.save({"model": {**state, **extra}, "iteration": 148300, "optimizer": {"state": {}}}, path)
    return path


@pytest.fixture(scope="module")
def generator(checkpoint):
    return DetectronPrompts(str(checkpoint))


def raw_scores(size=(64, 96)):
    """Energies as RPL has them: -20 to 10, with two bright blobs."""
    rng = np.random.default_rng(0)
    raw = rng.normal(-15, 2, size).astype(np.float32).clip(-20, 10)
    raw[20:50, 30:75] += 18
    raw[60:95, 100:150] += 22
    return torch.from_numpy(raw)


def test_every_tensor_fits_torchvisions_own_builder(state):
    theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2)
    converted = convert(state)
    found = theirs.load_state_dict(converted, strict=False)
    assert not found.missing_keys
    assert {each.rpartition(".")[2] for each in found.unexpected_keys} <= {"num_batches_tracked"}


def test_the_way_back_gives_every_tensor_again(state):
    converted = {k: v for k, v in convert(state).items() if not k.endswith("num_batches_tracked")}
    assert len(converted) == len(state)
    back = {}
    for name, value in converted.items():
        tensor, parts = value, name.split(".")
        if "layer" in name and "fpn" not in name:
            stage, block, unit = int(parts[2][-1]) + 1, parts[3], parts[4:]
            if unit[0] == "downsample":
                unit = ["shortcut"] + (["norm"] if unit[1] == "1" else []) + unit[2:]
            elif unit[0].startswith("bn"):
                unit = ["conv" + unit[0][2:], "norm", *unit[1:]]
            old = ".".join(["backbone.bottom_up", f"res{stage}", block, *unit])
        elif name.startswith("backbone.body"):
            old = "backbone.bottom_up.stem." + name[14:].replace("bn1", "conv1.norm")
        elif "fpn" in name:
            kind = {"inner_blocks": "lateral", "layer_blocks": "output"}[parts[2]]
            old = f"backbone.fpn_{kind}{int(parts[3]) + 2}.{parts[5]}"
        elif name.startswith("rpn"):
            unit = {"conv": "conv", "cls_logits": "objectness_logits", "bbox_pred": "anchor_deltas"}[parts[2]]
            old = f"proposal_generator.rpn_head.{unit}.{parts[-1]}"
        else:
            old = name.replace("fc6", "fc1").replace("fc7", "fc2")
            if "cls_score" in old:
                tensor = torch.cat([tensor[1:], tensor[:1]])
            elif "bbox_pred" in old:
                assert not tensor[:4].any()
                tensor = tensor[4:]
        back[old] = tensor
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("classes", [1, 3])
def test_background_moves_to_the_front_with_any_number_of_classes(classes):
    scores, boxes = torch.randn(classes + 1, 8), torch.randn(4 * classes, 8)
    head = "roi_heads.box_predictor."
    found = convert({head + "cls_score.weight": scores, head + "bbox_pred.weight": boxes})
    features = torch.randn(5, 8)
    expected = torch.softmax(features @ scores.T, 1)
    assert torch.allclose(
        torch.softmax(features @ found[head + "cls_score.weight"].T, 1)[:, 1:], expected[:, :-1]
    )
    assert torch.allclose((features @ found[head + "bbox_pred.weight"].T)[:, 4:], features @ boxes.T)


@pytest.mark.parametrize(("stride_in_1x1", "size"), [(True, (130, 200)), (False, (97, 160))])
def test_boxes_are_those_of_a_reference_written_after_detectron2(state, checkpoint, stride_in_1x1, size):
    raw = raw_scores(size)
    generator = DetectronPrompts(str(checkpoint), stride_in_1x1)
    kept = generator.rcnn.rpn._post_nms_top_n
    assert kept["testing"] == 1000
    kept["testing"] = PROPOSALS
    with torch.inference_mode():
        boxes, scores = reference.forward(state, raw, stride_in_1x1, PROPOSALS)
        found = generator.propose(generator.scale(raw)[None])[0]
    assert len(boxes) >= 10
    assert len(found.boxes) == len(boxes)
    assert scores.std() > 0.01
    torch.testing.assert_close(found.confidence, scores, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.boxes, boxes, atol=0.05, rtol=1e-3)


def test_raw_scores_come_through_the_normalisation_untouched(generator):
    raw = torch.linspace(-20, 20, 64 * 64).view(64, 64)
    image = generator.image(generator.scale(raw))
    mean = torch.tensor([103.53, 116.28, 123.675])
    assert torch.allclose(image + mean[:, None, None], raw.expand(3, -1, -1), atol=1e-4)


def test_the_pipeline_hands_over_scores_on_the_scale_the_generator_wants(generator, monkeypatch):
    seen = []

    def propose(scores, features, operating_point):
        assert features is None
        seen.append(scores[0])
        return [BoxPrompts(torch.zeros(0, 4), torch.zeros(0))]

    monkeypatch.setattr(generator, "propose", propose)
    raw = raw_scores()
    pipeline = S2M(None, generator, BoxSegmenter())
    pipeline(
        np.zeros((64, 96, 3), np.uint8), score_map=raw.numpy(), score_normalizer=ScoreNormalizer(3.0, 7.0)
    )
    assert torch.allclose(seen[0] * 2 - 12, raw, atol=1e-4)


def test_is_registered_and_saved_with_its_weights(generator, tmp_path):
    assert resolve(PROMPTS, "prompts", "detectron2") is DetectronPrompts
    assert isinstance(generator, PromptGenerator)
    again = construct("prompts", json.loads(json.dumps(describe(generator))), weights_follow=True)
    assert again.config == generator.config
    assert set(again.score_only.operating_points.values()) == {0.05}  # the release's
    again.load_state_dict(generator.state_dict())
    scores = generator.scale(raw_scores((20, 30)))[None]
    # A pipeline above has folded the normalisation of the one: they differ by rounding.
    found, expected = again.propose(scores)[0].boxes, generator.propose(scores)[0].boxes
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"junk", "are damaged, or are none"),
        ({"model": {"a": 1}}, "is not a state dict"),
        ({"model": {"backbone.bottom_up.stem.conv1.weight": torch.zeros(64, 3, 7, 7)}}, "not a Faster R-CNN"),
    ],
)
def test_files_that_are_none_are_said(tmp_path, content, sentence):
    path = tmp_path / "model.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=sentence) as found:
        DetectronPrompts(str(path))
    assert "model.pth" in str(found.value)
    assert "\n" not in str(found.value)
