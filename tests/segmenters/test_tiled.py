from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from oodseg.core.build import build, build_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.parts import MaskQueries, Segmentation, describe
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.tiled import TiledSegmenter, starts

NAMES = ("red", "green", "blue")


def colours(stride=1):
    return CallableSegmenter(lambda images: F.avg_pool2d(images, stride) if stride > 1 else images, NAMES)


@given(st.integers(1, 400), st.integers(1, 200), st.integers(0, 199))
def test_starts_cover_and_overlap(length, window, overlap):
    overlap = min(overlap, window - 1)
    found = starts(length, window, overlap)
    assert found[0] == 0
    assert len(found) == 1 or found[-1] + window == length
    assert found[-1] + window >= length
    for before, after in pairwise(found):
        assert 0 < after - before <= window - overlap


@given(st.integers(1, 40), st.integers(1, 12))
def test_starts_at_multiples_leave_no_gap(length, window):
    found = starts(16 * length, 16 * window, multiple=16)
    assert all(start % 16 == 0 for start in found)
    assert all(after - before <= 16 * window for before, after in pairwise(found))
    assert found[-1] + 16 * window >= 16 * length


@pytest.mark.parametrize("family", ["segformer", "mask2former"])
def test_one_window_over_all_is_the_segmenter_itself(family, folder_of):
    inner = build_segmenter(f"{family}:{folder_of(family)}")
    image = torch.rand(1, 3, 64, 96)
    direct, tiled = inner.segment(image), TiledSegmenter(inner, window=96).segment(image)
    torch.testing.assert_close(tiled.logits, direct.logits, rtol=0, atol=0)
    assert (tiled.queries is None) == (direct.queries is None)


def test_windows_of_a_pixelwise_network_change_nothing():
    image = torch.rand(2, 3, 70, 133)
    found = TiledSegmenter(colours(), window=40, overlap=0.5).segment(image)
    torch.testing.assert_close(found.logits, image)


def test_windows_are_seen_alone_and_averaged():
    """A network that answers with the mean of what it sees shows which windows there were."""
    mean = CallableSegmenter(lambda images: images.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4), NAMES)
    image = torch.rand(1, 3, 32, 48)
    left, right = (image[..., x : x + 32].mean((2, 3))[0] for x in (0, 16))
    logits = TiledSegmenter(mean, window=32, overlap=0.0).segment(image).logits[0]
    torch.testing.assert_close(logits[:, 5, 0], left)
    torch.testing.assert_close(logits[:, 5, 47], right)
    torch.testing.assert_close(logits[:, 5, 20], (left + right) / 2)


def test_scales_are_averaged_at_the_images_size():
    image = torch.rand(1, 3, 48, 64)

    def at(scale):
        size = [round(48 * scale), round(64 * scale)]
        small = F.interpolate(image, size, mode="bilinear", align_corners=False)
        return F.interpolate(F.avg_pool2d(small, 4), image.shape[-2:], mode="bilinear", align_corners=False)

    found = TiledSegmenter(colours(4), scales=(1.0, 1.5, 2.0)).segment(image).logits
    torch.testing.assert_close(found, (at(1.0) + at(1.5) + at(2.0)) / 3, rtol=1e-4, atol=1e-5)


def test_queries_and_features_of_several_windows_are_left_out():
    queries = MaskQueries(torch.zeros(1, 2, 4), torch.zeros(1, 2, 8, 8))
    inner = CallableSegmenter(lambda images: Segmentation(images, images, queries), NAMES)
    found = TiledSegmenter(inner, window=32).segment(torch.rand(1, 3, 40, 64))
    assert found.queries is None
    assert found.features is None


def test_config_rebuilds(folder_of):
    tiled = TiledSegmenter(
        build_segmenter(f"segformer:{folder_of('segformer')}"),
        window=64,
        overlap=0.5,
        scales=[0.5, 1],
    )
    again = build("segmenters", describe(tiled))
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(tiled.segment(image).logits, again.segment(image).logits)
    assert again.classes == tiled.classes
    assert again.config == tiled.config


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 8}, "at least 32 pixels"),
        ({"overlap": 1.0}, "share of the window"),
        ({"scales": []}, "one or more factors above 0"),
        ({"scales": [1.0, 0.0]}, "above 0"),
    ],
)
def test_nonsense_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        TiledSegmenter(colours(), **options)
