import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.errors import ConfigError
from oodseg.core.registry import resolve
from oodseg.masks.everything import EverythingSegmenter

H, W = 40, 60


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((H, W), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def answer(instances, *boxes, scores=None):
    segmenter = EverythingSegmenter(lambda image: instances)
    embedding = segmenter.embed(torch.zeros(3, H, W))
    return segmenter.segment(
        embedding, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), scores
    ).numpy()


DISC = (np.mgrid[:H, :W][0] - 20) ** 2 + (np.mgrid[:H, :W][1] - 30) ** 2 < 100
SMALL, LARGE, FAR = rectangle(25, 15, 35, 25), rectangle(0, 0, 60, 30), rectangle(50, 30, 60, 40)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 10, 40, 30), DISC),  # its own box, although SMALL lies wholly inside
        ((26, 16, 34, 24), SMALL),
        ((0, 0, 58, 32), LARGE),
        ((52, 31, 70, 50), FAR),  # reaching out of the image
        ((2, 33, 12, 39), rectangle(2, 33, 12, 39)),  # nothing there: the filled box
        ((70, 50, 90, 80), rectangle(0, 0, 0, 0)),  # outside the image
    ],
)
def test_the_instance_that_overlaps_the_box_best(box, expected):
    masks = answer(np.stack([SMALL, DISC, LARGE, FAR]), box)
    assert np.array_equal(masks[0], expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_as_computed_with_whole_masks(seed):
    rng = np.random.default_rng(seed)
    instances = rng.random((5, H, W)) < rng.random((5, 1, 1)) * 0.3
    instances[0] = False
    corners = rng.integers(0, (30, 20, 30, 20), (3, 4))
    boxes = np.column_stack([corners[:, :2], corners[:, :2] + 1 + corners[:, 2:]])
    masks = answer(instances, *boxes.tolist())
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        filled = rectangle(x0, y0, x1, y1)
        iou = (instances & filled).sum((1, 2)) / (instances | filled).sum((1, 2))
        assert np.array_equal(mask, instances[iou.argmax()] if iou.max() > 0 else filled)


@pytest.mark.parametrize(
    "instances",
    [
        np.zeros((0, H, W), bool),
        np.zeros((2, H, W), bool),
        [],
        torch.zeros(0, H, W, dtype=torch.bool),
    ],
)
def test_without_instances_the_filled_box(instances):
    assert np.array_equal(answer(instances, (3, 4, 20, 30))[0], rectangle(3, 4, 20, 30))


def test_no_box_no_mask_and_scores_change_nothing():
    assert answer(DISC[None]).shape == (0, H, W)
    box = (10, 10, 40, 30)
    assert np.array_equal(answer(DISC[None], box), answer(DISC[None], box, scores=torch.rand(20, 30)))


def test_the_image_is_handed_over_as_bytes_once():
    seen = []

    def generate(pixels):
        seen.append(pixels)
        return torch.from_numpy(DISC[None]).to(torch.uint8)

    segmenter = EverythingSegmenter(generate)
    image = torch.linspace(0, 1, 3 * H * W).reshape(3, H, W)
    embedding = segmenter.embed(image)
    for _ in range(3):
        segmenter.segment(embedding, torch.tensor([[20.0, 10.0, 40.0, 30.0]]))
    assert len(seen) == 1
    assert seen[0].shape == (H, W, 3)
    assert seen[0].dtype == np.uint8
    assert np.abs(seen[0] / 255 - image.permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6


def test_masks_of_another_size_are_refused():
    with pytest.raises(ConfigError, match=r"of shape \(20, 30\) for an image of 40 x 60 pixels"):
        answer(DISC[None, ::2, ::2], (0, 0, 5, 5))


def test_a_function_cannot_be_saved():
    with pytest.raises(ConfigError, match="cannot be saved"):
        _ = EverythingSegmenter(lambda image: []).config


@pytest.mark.parametrize(
    "source", ["", "some/folder", "segformer:some/folder", "eomt:some/folder", "mask2former:"]
)
def test_what_is_no_mask_classifier_is_refused(source):
    with pytest.raises(ConfigError, match="everything:mask2former:ID"):
        EverythingSegmenter(source)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Mask2Former in the hub's folder format."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("scipy")
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=12,
        num_labels=3,
    )
    path = tmp_path_factory.mktemp("mask2former")
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(path)
    transformers.Mask2FormerImageProcessor().save_pretrained(path)
    return path


def test_a_mask_classifier_s_queries_are_its_instances(folder, monkeypatch):
    from oodseg.masks import MASKS, everything

    segmenter = resolve(MASKS, "masks", "everything")(f"mask2former:{folder}")
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand((1, 3, 4, 6), generator=generator)
    image = torch.nn.functional.interpolate(coarse, (64, 96), mode="bilinear")[0]
    image = (image * 255).round() / 255
    queries = segmenter.generate.segmenter.segment(image[None]).queries.masks
    whole = torch.nn.functional.interpolate(queries, (64, 96), mode="bilinear", align_corners=False)[0] > 0
    assert (whole.float().mean((1, 2)) > 0).any()
    embedding = segmenter.embed(image)
    assert [each.area for each in embedding.instances] == [int(m.sum()) for m in whole if m.any()]
    boxes = torch.tensor([[10.0, 10.0, 60.0, 50.0]])
    mask = segmenter.segment(embedding, boxes)[0]
    filled = torch.zeros(64, 96, dtype=torch.bool)
    filled[10:50, 10:60] = True
    iou = (whole & filled).sum((1, 2)) / (whole | filled).sum((1, 2))
    assert torch.equal(mask, whole[iou.argmax()])
    # Larger images are reduced for the network, not for the masks.
    monkeypatch.setattr(everything, "_LONGEST", 48)
    assert segmenter.segment(segmenter.embed(image), boxes).shape == (1, 64, 96)
    again = EverythingSegmenter(**segmenter.config)
    assert segmenter.config["source"] == f"mask2former:{folder}"
    assert torch.equal(again.segment(embedding, boxes)[0], mask)


def test_through_a_pipeline():
    from oodseg.pipeline import S2M
    from oodseg.prompts.components import ComponentPrompts
    from redness import Redness, street

    def red(image):
        """Every red thing, a little larger than its score says."""
        mask = (image[..., 0] > 200).astype(np.uint8)
        halves = [mask.copy(), mask.copy()]
        halves[0][:, 64:], halves[1][:, :64] = 0, 0
        return np.stack(halves).astype(bool)

    s2m = S2M(Redness(), ComponentPrompts(min_area=20), EverythingSegmenter(red), working_side=(128, 128))
    image = street((20, 20, 50, 60), (80, 30, 110, 80))
    prediction = s2m(image)
    assert np.array_equal(prediction.mask, image[..., 0] == 250)
    assert len(prediction.objects) == 2
