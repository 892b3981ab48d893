import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, convolve

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import Segmentation
from oodseg.detectors.sml import SML, suppress_boundaries
from tiny_segmenter import CLASSES, TinySegmenter, images


def pixels_of(segmentations):
    """Largest logit and predicted class of every pixel, float64."""
    logits = np.concatenate([each.logits[0].flatten(1).double().numpy() for each in segmentations], 1)
    return logits.max(0), logits.argmax(0)


def test_statistics_of_every_class_over_images_of_mixed_sizes() -> None:
    segmentations = [TinySegmenter().segment(each) for each in images()]
    score = SML()
    score.fit(iter(segmentations))
    largest, label = pixels_of(segmentations)
    for c in range(CLASSES):
        of_class = largest[label == c]
        if len(of_class):
            assert score.mean[c].item() == pytest.approx(of_class.mean(), rel=1e-5)
            assert score.std[c].item() == pytest.approx(of_class.std(), rel=1e-5)


def test_scores_by_hand() -> None:
    # Class 0 is predicted with 2, 4 and 6; class 1 with 10 and 14; class 2 never.
    logits = torch.tensor([[2.0, 4, 6, 0, 0], [0, 0, 0, 10, 14], [-9, -9, -9, -9, -9]])[None, :, None]
    score = SML()
    score.fit([Segmentation(logits)])
    assert score.mean.tolist() == pytest.approx([4, 12, 7.2])
    assert score.std.tolist() == pytest.approx([np.sqrt(8 / 3), 2, np.std([2, 4, 6, 10, 14])])
    found = score(Segmentation(logits), (1, 5))[0, 0]
    assert found.tolist() == pytest.approx([np.sqrt(1.5), 0, -np.sqrt(1.5), 1, -1])


def test_standardized_scores_have_mean_zero_and_deviation_one_in_every_class() -> None:
    segmentations = [TinySegmenter().segment(each) for each in images()]
    score = SML()
    score.fit(segmentations)
    found = np.concatenate([score(each, (1, 1)).flatten().numpy() for each in segmentations])
    _, label = pixels_of(segmentations)
    for c in np.unique(label):
        assert found[label == c].mean() == pytest.approx(0, abs=1e-3)
        assert found[label == c].std() == pytest.approx(1, abs=1e-3)


def test_fit_is_exact_far_from_zero() -> None:
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, 0] = 1e6 + torch.arange(100).view(10, 10)
    score = SML()
    score.fit([Segmentation(logits)] * 3)
    assert score.std[0].item() == pytest.approx(np.arange(100).std(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_logits_that_cannot_be_standardized(value) -> None:
    with pytest.raises(ScoreMapError, match="same everywhere or not finite"):
        SML().fit([Segmentation(torch.full((1, 3, 4, 4), value))])


def test_no_image() -> None:
    with pytest.raises(ScoreMapError, match="no image to fit"):
        SML().fit([])


def test_another_segmenter_than_was_fitted() -> None:
    score = SML()
    score.fit([Segmentation(torch.randn(1, 3, 4, 4))])
    with pytest.raises(ConfigError, match="of 3 classes, this segmenter has 5"):
        score(Segmentation(torch.randn(1, 5, 4, 4)), (4, 4))


def naive_suppression(score, labels, width):
    """The same by loops over pixels and distances in steps."""
    height, columns = labels.shape
    seam = np.zeros(labels.shape, bool)
    for y, x in np.ndindex(labels.shape):
        for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= y + dy < height and 0 <= x + dx < columns:
                seam[y, x] |= labels[y, x] != labels[y + dy, x + dx]
    result = score.copy()
    for r in range(width - 1, -1, -1):
        near = binary_dilation(seam, iterations=r) if r else seam
        before = result.copy()
        for y, x in zip(*np.nonzero(near), strict=True):
            beside = []
            for dy, dx in np.ndindex(3, 3):
                # Borders are continued by their outermost pixels.
                v, u = np.clip(y + dy - 1, 0, height - 1), np.clip(x + dx - 1, 0, columns - 1)
                if not near[v, u]:
                    beside.append(before[v, u])
            if beside:
                result[y, x] = np.mean(beside)
    return result


@given(st.integers(0, 999), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_boundary_suppression_against_loops(seed, width) -> None:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(12, 15))
    labels = np.kron(rng.integers(0, 3, (4, 5)), np.ones((3, 3), int))
    found = suppress_boundaries(torch.from_numpy(score)[None], torch.from_numpy(labels)[None], width)[0]
    np.testing.assert_allclose(found.numpy(), naive_suppression(score, labels, width), atol=1e-9)


def test_a_seam_takes_the_scores_beside_it() -> None:
    labels = torch.zeros(1, 9, 12, dtype=torch.long)
    labels[:, :, 6:] = 1
    score = torch.where(labels > 0, 1.0, -1.0)
    score[:, :, 4:8] = 7.0  # unsure along the seam
    found = suppress_boundaries(score, labels, 2)
    torch.testing.assert_close(
        found[0, :, :6], torch.full((9, 6), -1.0).where(torch.arange(6) != 4, found[0, :, 4:5])
    )
    assert found[0, :, 5].max() < 7
    wide = suppress_boundaries(score, labels, 3)
    torch.testing.assert_close(wide[0], torch.where(labels[0] > 0, 1.0, -1.0))


def test_one_class_everywhere_has_no_seam() -> None:
    score = torch.randn(1, 6, 6)
    assert torch.equal(suppress_boundaries(score, torch.ones(1, 6, 6, dtype=torch.long), 4), score)


def test_options_work_at_the_size_of_the_image() -> None:
    batch = images()
    segmentations = [TinySegmenter().segment(each) for each in batch]
    plain, whole = SML(), SML(boundary_width=2, dilation=2)
    plain.fit(segmentations)
    whole.fit(segmentations)
    size = batch[0].shape[-2:]
    found = whole(segmentations[0], size)[0]
    assert found.shape == size
    logits = torch.nn.functional.interpolate(segmentations[0].logits, size, mode="bilinear")
    score = plain(Segmentation(logits), size)[0].double().numpy()
    expected = naive_suppression(score, logits[0].argmax(0).numpy(), 2)
    taps = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    kernel = np.zeros((13, 13))
    kernel[::2, ::2] = np.outer(taps, taps) / taps.sum() ** 2
    np.testing.assert_allclose(found.numpy(), convolve(expected, kernel, mode="nearest"), atol=1e-4)
