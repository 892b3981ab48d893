import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.masks.crops import MIN_SIDE, box_channel, build_pyramid, crop_regions, paste_logits, sample_crops

edges = st.tuples(st.floats(-20, 60), st.floats(-20, 40), st.floats(1, 50), st.floats(1, 40))


def bilinear(image, x, y, outside):
    """Value at a place in pixel edges; pixels beyond the image have the value `outside`."""
    height, width = image.shape
    left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
    total = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row))
            inside = 0 <= row < height and 0 <= column < width
            total += weight * (image[row, column] if inside else outside)
    return total


def test_regions_keep_the_centre_and_a_least_side():
    boxes = torch.tensor([[10.0, 20, 50, 40], [5, 5, 6, 6]])
    regions = crop_regions(boxes, 1.5)
    torch.testing.assert_close(regions[0], torch.tensor([0.0, 15, 60, 45]))
    torch.testing.assert_close(regions[1], torch.tensor([5.5 - 6, 5.5 - 6, 5.5 + 6, 5.5 + 6]))
    assert (regions[:, 2:] - regions[:, :2]).min() >= MIN_SIDE


def test_pyramid_halves_until_the_crop_size_is_near():
    image = torch.rand(3, 101, 130)
    levels = build_pyramid(image, 16)
    assert [tuple(level.shape) for level in levels] == [(3, 101, 130), (3, 51, 65), (3, 26, 33), (3, 13, 17)]
    torch.testing.assert_close(levels[1][:, 0, 0], image[:, :2, :2].mean(dim=(1, 2)))
    torch.testing.assert_close(levels[1][:, -1, 0], image[:, -1, :2].mean(dim=1))


@settings(max_examples=60, deadline=None)
@given(region=edges, outside=st.sampled_from([0.0, 0.45]))
def test_crops_are_bilinear_samples(region, outside):
    x0, y0, width, height = region
    image = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(0))
    # One level only, so that the plain formula holds.
    crop = sample_crops([image], torch.tensor([[x0, y0, x0 + width, y0 + height]]), 8, outside)[0, 0]
    for row, column in ((0, 0), (3, 5), (7, 7), (7, 0)):
        x, y = x0 + (column + 0.5) / 8 * width, y0 + (row + 0.5) / 8 * height
        assert float(crop[row, column]) == pytest.approx(bilinear(image[0].numpy(), x, y, outside), abs=2e-4)


def test_each_crop_comes_from_its_own_level():
    image = torch.rand(3, 128, 128)
    levels = build_pyramid(image, 16)
    regions = torch.tensor([[0.0, 0, 128, 128], [10, 10, 26, 26], [0, 0, 64, 64]])
    together = sample_crops(levels, regions, 16)
    for crop, region in zip(together, regions, strict=True):
        torch.testing.assert_close(crop, sample_crops(levels, region[None], 16)[0])
    torch.testing.assert_close(together[1], image[:, 10:26, 10:26])
    # 128 pixels into 16: eight by eight means, drawn from the level of 4 by 4 means at their corners.
    means = torch.nn.functional.avg_pool2d(image, 8)
    torch.testing.assert_close(together[0], means)


@settings(max_examples=60, deadline=None)
@given(box=edges)
def test_box_channel_has_the_area_of_the_box(box):
    x0, y0, width, height = box
    boxes = torch.tensor([[x0, y0, x0 + width, y0 + height]])
    regions = crop_regions(boxes, 1.5)
    drawn = box_channel(boxes, regions, 32)
    assert drawn.shape == (1, 1, 32, 32)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    area = 32 * 32 * width * height / float((regions[0, 2:] - regions[0, :2]).prod())
    # The ramp is one crop pixel wide: thin boxes lose some of their height to it.
    assert float(drawn.sum()) == pytest.approx(area, rel=0.02, abs=0.5)


@settings(max_examples=60, deadline=None)
@given(region=edges)
def test_pasted_logits_are_bilinear_samples_of_the_crop(region):
    x0, y0, width, height = region
    logits = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    rows, columns, pasted = paste_logits(logits, (x0, y0, x0 + width, y0 + height), 40, 50)
    assert pasted.shape == (rows.stop - rows.start, columns.stop - columns.start)
    centres_x = [x for x in range(50) if x0 <= x + 0.5 <= x0 + width]
    centres_y = [y for y in range(40) if y0 <= y + 0.5 <= y0 + height]
    if not centres_x or not centres_y:
        assert pasted.size == 0
        return
    assert (columns.start, columns.stop) == (centres_x[0], centres_x[-1] + 1)
    assert (rows.start, rows.stop) == (centres_y[0], centres_y[-1] + 1)
    replicated = np.pad(logits, 1, mode="edge")
    for y, x in ((rows.start, columns.start), (rows.stop - 1, columns.stop - 1)):
        u, v = (x + 0.5 - x0) * 8 / width, (y + 0.5 - y0) * 8 / height
        expected = bilinear(replicated, u + 1, v + 1, 0.0)
        # OpenCV samples at 1/32 of a pixel.
        assert pasted[y - rows.start, x - columns.start] == pytest.approx(expected, abs=0.15)
