import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance, shrunk_covariance

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.parts import Segmentation
from oodseg.detectors.mahalanobis import Mahalanobis
from tiny_segmenter import TinySegmenter, images


def drawn(count=4, width=5, classes=3, offset=0.0, seed=0):
    """Segmentations whose features depend on the class, correlated and of different scales."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(width, width)) * np.logspace(-1, 1, width)
    centres = rng.normal(size=(classes, width)) * 5
    result = []
    for _ in range(count):
        height, columns = rng.integers(6, 12, 2)
        label = rng.integers(0, classes, (height, columns))
        z = centres[label] + rng.normal(size=(height, columns, width)) @ mix + offset
        logits = torch.nn.functional.one_hot(torch.from_numpy(label), classes) * 9.0
        result.append(
            Segmentation(logits.permute(2, 0, 1)[None].float(), torch.from_numpy(z).permute(2, 0, 1)[None])
        )
    return result


def flat(segmentations):
    z = np.concatenate([each.features[0].flatten(1).T.double().numpy() for each in segmentations])
    label = np.concatenate([each.logits[0].argmax(0).flatten().numpy() for each in segmentations])
    return z, label


@pytest.mark.parametrize("shrinkage", [1e-4, 0.1, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_against_scikit_learn(shrinkage, offset) -> None:
    segmentations = drawn(offset=offset)
    score = Mahalanobis(shrinkage)
    score.fit(iter(segmentations))
    z, label = flat(segmentations)
    means = np.stack([z[label == c].mean(0) for c in range(3)])
    tied = EmpiricalCovariance(assume_centered=True).fit(z - means[label]).covariance_
    reference = EmpiricalCovariance()
    reference._set_covariance(shrunk_covariance(tied, shrinkage))
    reference.location_ = np.zeros(z.shape[1])
    expected = np.min([reference.mahalanobis(z - mean) for mean in means], axis=0)
    found = np.concatenate([score(each, (1, 1)).flatten().numpy() for each in segmentations])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)


def test_by_hand() -> None:
    # One class; features (0, 0), (2, 0), (0, 4), (2, 4): mean (1, 2), variances 1 and 4, no covariance.
    features = torch.tensor([[0.0, 2, 0, 2], [0.0, 0, 4, 4]])[None, :, None]
    logits = torch.tensor([[1.0] * 4, [0.0] * 4])[None, :, None]
    score = Mahalanobis(shrinkage=1e-9)
    score.fit([Segmentation(logits, features)])
    asked = torch.tensor([[1.0, 2, 1, 4], [2.0, 2, 6, 2]])[None, :, None]
    assert score(Segmentation(logits, asked), (1, 4)).flatten().tolist() == pytest.approx(
        [0, 1, 4, 9], abs=1e-5
    )


def test_an_affine_change_of_the_features_changes_nothing_but_the_shrinkage() -> None:
    segmentations = drawn()
    change = torch.randn(5, 5, dtype=torch.float64)
    changed = [
        Segmentation(each.logits, torch.einsum("ij,bjhw->bihw", change, each.features) + 3)
        for each in segmentations
    ]
    scores = [Mahalanobis(shrinkage=1e-9), Mahalanobis(shrinkage=1e-9)]
    for score, given in zip(scores, (segmentations, changed), strict=True):
        score.fit(given)
    before, after = scores[0](segmentations[0], (1, 1)), scores[1](changed[0], (1, 1))
    torch.testing.assert_close(after, before, rtol=1e-2, atol=1e-3)


def test_far_from_every_class_scores_high_and_scores_are_never_negative() -> None:
    segmentations = drawn()
    score = Mahalanobis()
    score.fit(segmentations)
    near = score(segmentations[0], (1, 1))
    far = score(Segmentation(segmentations[0].logits, segmentations[0].features + 1e4), (1, 1))
    assert near.min() >= 0
    assert far.min() > near.max()
    assert far.isfinite().all()


def test_logits_of_another_resolution_label_the_features() -> None:
    logits = torch.zeros(1, 2, 16, 16)
    logits[:, 0, :, :8], logits[:, 1, :, 8:] = 5.0, 5.0
    features = torch.randn(1, 3, 4, 4)
    features[..., 2:] += 100
    score = Mahalanobis()
    score.fit([Segmentation(logits, features)])
    # With wrong labels the gap of 100 would be in the covariance.
    assert score.means.shape == (2, 3)
    assert (score.means[0] - score.means[1]).norm() > 50


def test_dead_and_doubled_features_do_no_harm() -> None:
    segmentations = []
    for each in drawn():
        dead = torch.zeros_like(each.features[:, :1])
        segmentations.append(
            Segmentation(each.logits, torch.cat([each.features, each.features[:, :1], dead], 1))
        )
    score = Mahalanobis()
    score.fit(segmentations)
    assert score(segmentations[0], (1, 1)).isfinite().all()


def test_large_images_are_sampled_evenly() -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(1, 3, 200, 300, generator=draw) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    score = Mahalanobis()
    score.fit([Segmentation(torch.zeros(1, 2, 50, 75), features)])
    variance = 1 / score.whitening.diagonal() ** 2
    torch.testing.assert_close(variance, torch.tensor([1.0, 4.0, 9.0]), rtol=0.1, atol=0)


@pytest.mark.parametrize("features", [torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), float("nan"))])
def test_features_that_say_nothing(features) -> None:
    with pytest.raises(ScoreMapError, match="same everywhere or not finite"):
        Mahalanobis().fit([Segmentation(torch.zeros(1, 2, 4, 4), features)])


def test_no_image_and_no_features() -> None:
    with pytest.raises(ScoreMapError, match="no image to fit"):
        Mahalanobis().fit([])
    with pytest.raises(ConfigError, match="needs features"):
        Mahalanobis().fit([Segmentation(torch.zeros(1, 2, 4, 4))])


def test_another_segmenter_than_was_fitted() -> None:
    score = Mahalanobis()
    score.fit(drawn(width=5))
    with pytest.raises(ConfigError, match="of 5 features, this segmenter gives 6"):
        score(TinySegmenter().segment(images(1)[0]), (1, 1))
