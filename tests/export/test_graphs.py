import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oodseg.export.graphs import _LEVELS, _CropDecoder, _Halvings, outermost
from oodseg.masks.compact import CompactSegmenter
from oodseg.masks.crops import build_pyramid, crop_regions
from oodseg.prompts.geometry import suppress_nested


@given(st.integers(0, 2**32 - 1), st.integers(0, 100), st.sampled_from([0.3, 0.8, 1.0]))
def test_outermost_boxes_are_those_that_greedy_suppression_keeps(seed, count, share):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (count, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + rng.lognormal(2.5, 1, (count, 2))], 1)).float()
    assert outermost(boxes, share).nonzero()[:, 0].tolist() == suppress_nested(boxes, share).tolist()


@pytest.mark.parametrize("size", [(64, 64), (227, 333), (461, 1023), (30, 900)])
def test_halvings_begin_with_the_pyramid(size):
    image = torch.rand(1, 3, *size)
    levels = _Halvings()(image)
    pyramid = build_pyramid(image[0], 112)
    assert len(pyramid) <= len(levels) == _LEVELS
    for ours, theirs in zip(levels, pyramid, strict=False):
        assert torch.allclose(ours[0], theirs, atol=1e-6)


@pytest.mark.parametrize("use_scores", [False, True])
@pytest.mark.parametrize("size", [(100, 150), (500, 1300)])
def test_the_decoder_draws_what_the_segmenter_draws(size, use_scores):
    masks = CompactSegmenter(size=48, widths=(4, 6), depths=(1, 1), use_scores=use_scores).eval()
    height, width = size
    shares = torch.tensor([[0.4, 0.4, 0.45, 0.5], [0.0, 0.0, 1.0, 1.0], [0.8, 0.2, 1.0, 0.9]])
    boxes = shares * torch.tensor([width, height, width, height])
    image, score = torch.rand(3, *size), 8 * torch.randn(height // 2, width // 2 + 7)
    with torch.inference_mode():
        logits, regions = _CropDecoder(masks)(
            *_Halvings()(image[None]), boxes, *([score] if use_scores else [])
        )
        embedding = masks.embed(image)
        expected = masks(masks._crops(embedding, boxes, crop_regions(boxes, masks.context), score))
    assert torch.equal(regions, crop_regions(boxes, masks.context))
    assert torch.allclose(logits, expected, atol=1e-4)
