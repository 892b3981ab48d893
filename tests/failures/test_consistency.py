import numpy as np
import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.failures.consistency import Consistency, label_log_odds
from oodseg.failures.loading import choose_label_judge
from oodseg.segmenters.given import GivenLabels


def scene(noise=0.03):
    """A dark and a bright half, with the labels of both."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(48, 64, dtype=torch.long)
    labels[:, 32:] = 1
    image = (0.2 + 0.6 * labels).expand(3, 48, 64) + noise * torch.randn(3, 48, 64, generator=generator)
    return image.clamp(0, 1), labels


def test_right_labels_are_not_doubted():
    odds = label_log_odds(*scene())
    assert float((odds < 0).float().mean()) > 0.99


@pytest.mark.parametrize("value", [1, 200])
def test_a_patch_of_the_wrong_label_is_what_is_doubted_most(value):
    image, labels = scene()
    labels = labels * value
    wrong = torch.zeros_like(labels, dtype=torch.bool)
    wrong[10:26, 20:32] = True  # dark, beside the border, and called bright
    labels[wrong] = value
    odds = label_log_odds(image, labels)
    assert odds.dtype == torch.float32
    ranks = odds.flatten().argsort().argsort().float()
    auroc = (ranks[wrong.flatten()].mean() - (int(wrong.sum()) - 1) / 2) / int((~wrong).sum())
    assert auroc > 0.95
    assert float((odds[wrong] > 0).float().mean()) > 0.5


def test_grey_slices_and_tiny_classes_are_no_fault():
    image, labels = scene()
    slice_ = image[:1].expand(3, -1, -1)
    labels[3, 3] = 7
    assert bool(torch.isfinite(label_log_odds(slice_, labels)).all())
    assert bool(torch.isfinite(label_log_odds(torch.zeros(3, 8, 8), torch.eye(8, dtype=torch.long))).all())


def test_one_label_alone_cannot_be_doubted():
    assert torch.equal(label_log_odds(torch.rand(3, 8, 8), torch.ones(8, 8)), torch.full((8, 8), -16.0))


def test_it_judges_labels_and_a_segmenter_alike():
    image, labels = scene()
    judge = choose_label_judge("consistency", ["dark", "bright"], "cpu")
    found = judge.assess(image, labels)
    assert np.array_equal(found.labels, labels.numpy())
    assert found.error.shape == (48, 64)
    assert found.mean_quality > 0.95
    broken = labels.clone()
    broken[:, 16:32] = 1
    assert judge.assess(image, broken).mean_quality < found.mean_quality
    with pytest.raises(ConfigError, match="both must be of one size"):
        judge.assess(image, labels[:10])
    with pytest.raises(ConfigError, match="judges labels that were made elsewhere and was given none"):
        judge.assess(image)
    assert judge.config["segmenter"]["classes"] == ["dark", "bright"]
    assert isinstance(Consistency(GivenLabels(["a"])), Consistency)


def test_scores_of_probabilities_judge_no_labels():
    with pytest.raises(ConfigError, match="msp reads the probabilities of a network, which labels do not"):
        choose_label_judge("msp", ["a", "b"])


def test_a_trained_detector_judges_labels_of_its_classes():
    judge = choose_label_judge("street", device="cpu")
    count = len(judge.classes)
    labels = torch.arange(64 * 96).view(64, 96) * count // (64 * 96)
    found = judge.assess(torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0)), labels)
    assert np.array_equal(found.labels, labels.numpy())
    assert found.resynthesis is not None
    assert np.isfinite(found.mean_quality)


def test_void_pixels_are_as_good_as_cut_off():
    image, labels = scene()
    labels[20:30, 5:15] = 1
    void = torch.zeros_like(labels, dtype=torch.bool)
    void[:, :3] = void[40:] = True
    odds = label_log_odds(image, labels, void)
    assert bool((odds[void] == odds.min()).all())
    assert torch.equal(label_log_odds(image, labels.masked_fill(void, 7), void), odds)
    without = label_log_odds(image[:, :40, 3:], labels[:40, 3:])
    assert float((odds[:40, 3:] - without).abs().median()) < 0.1, "as if they were cut off"
