import numpy as np
import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.masks.crops import crop_regions
from oodseg.masks.grabcut import GrabCutSegmenter


@pytest.fixture(scope="module")
def scene():
    """A textured green field with a red disc, and the disc."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:240, :320]
    disc = (rows - 120) ** 2 + (columns - 150) ** 2 < 60**2
    colour = np.where(disc[..., None], (0.8, 0.2, 0.1), (0.2, 0.6, 0.2)) + rng.normal(0, 0.03, (240, 320, 3))
    return torch.from_numpy(colour.clip(0, 1).astype(np.float32)).permute(2, 0, 1), torch.from_numpy(disc)


def test_outlines_a_disc_closely(scene):
    image, disc = scene
    segmenter = GrabCutSegmenter()
    mask = segmenter.segment(segmenter.embed(image), torch.tensor([[88.0, 57.0, 213.0, 184.0]]))[0]
    assert (mask & disc).sum() / (mask | disc).sum() > 0.95


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 320, 240),  # no background to learn from
        (10, 10, 10.5, 10.5),  # one pixel
        (319.2, 100, 330, 140),  # almost outside
    ],
)
def test_falls_back_to_the_filled_box(scene, box):
    segmenter = GrabCutSegmenter()
    mask = segmenter.segment(segmenter.embed(scene[0]), torch.tensor([box], dtype=torch.float32))[0]
    x0, y0, x1, y1 = (round(float(edge)) for edge in (max(0, box[0] - 0.49), box[1], box[2], box[3]))
    expected = torch.zeros(240, 320, dtype=torch.bool)
    expected[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    assert torch.equal(mask, expected)


def test_a_uniform_image_gives_the_filled_box():
    segmenter = GrabCutSegmenter()
    mask = segmenter.segment(
        segmenter.embed(torch.full((3, 60, 60), 0.5)), torch.tensor([[20.0, 20, 40, 40]])
    )
    assert mask.sum() == 400
    assert mask[0, 20:40, 20:40].all()


def test_together_as_one_by_one_and_twice_the_same(scene):
    segmenter = GrabCutSegmenter()
    embedding = segmenter.embed(scene[0])
    corners = torch.rand(5, 2) * torch.tensor([250.0, 180.0])
    boxes = torch.cat([corners, corners + 20 + torch.rand(5, 2) * 60], dim=1)
    together = segmenter.segment(embedding, boxes)
    single = torch.cat([segmenter.segment(embedding, box[None]) for box in boxes])
    assert torch.equal(together, single)
    assert torch.equal(together, segmenter.segment(embedding, boxes))
    for mask, (x0, y0, x1, y1) in zip(together, crop_regions(boxes, 2.0).tolist(), strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        assert rows.min() >= y0 - 1
        assert rows.max() <= y1
        assert columns.min() >= x0 - 1
        assert columns.max() <= x1


@pytest.mark.parametrize("arguments", [{"longest": 8}, {"iterations": 0}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ConfigError, match="grabcut"):
        GrabCutSegmenter(**arguments)
