import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_parts import CLASSES, make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.core.values import Segmentation
from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.ensemble import Ensemble
from oodseg.failures.loading import choose_failure_detector
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.sampled import pairwise_dice
from oodseg.failures.storage import load_failure_detector, save_failure_detector
from oodseg.segmenters import Segmenter


class Says(Segmenter):
    """Gives every image the same labels, or those of a brighter left half."""

    name = "says"
    classes = CLASSES

    def __init__(self, labels=None):
        self.labels = labels

    def segment(self, images):
        labels = self.labels
        if labels is None:
            half = images.shape[-1] // 2
            left, right = images[..., :half].mean(), images[..., half:].mean()
            labels = torch.full(images.shape[-2:], int(left > right))
        return Segmentation(10.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 0)[None].float())


def halves(first, second):
    labels = torch.full((20, 40), first)
    labels[:, 20:] = second
    return labels


def test_pairwise_dice_by_hand():
    found = pairwise_dice(torch.stack([halves(0, 1), halves(0, 1), halves(0, 0)]), 3)
    assert found[:2].tolist() == pytest.approx([(1 + 2 / 3 + 2 / 3) / 3, (1 + 0 + 0) / 3])
    assert torch.isnan(found[2])


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_pairwise_dice_as_counted_pair_by_pair(seed, members):
    labels = np.random.default_rng(seed).integers(0, 3, (members, 4, 5))
    found = pairwise_dice(torch.from_numpy(labels), 4).numpy()
    for number in range(3):
        pairs = [(labels[a] == number, labels[b] == number) for a in range(members) for b in range(a)]
        dice = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairs if a.any() or b.any()]
        assert found[number] == pytest.approx(np.mean(dice) if dice else np.nan, nan_ok=True, abs=1e-6)


def test_an_ensemble_doubts_where_its_members_disagree():
    judge = Ensemble(Says(halves(0, 1)), [Says(halves(0, 2)), Says(halves(0, 1))])
    found = judge.assess(torch.rand(3, 20, 40))
    np.testing.assert_array_equal(found.labels, halves(0, 1).numpy())
    assert found.error[:, :20].max() < 0.01
    assert found.error[:, 20:] == pytest.approx(1 / 3, abs=0.01)
    dice = (1 + 0 + 0) / 3
    assert found.class_quality[:2] == pytest.approx([1, dice / (2 - dice)])
    assert np.isnan(found.class_quality[2]), "the segmenter under test does not predict it"


def test_a_class_that_no_other_member_has_is_agreed_on_by_none():
    found = Ensemble(Says(halves(0, 1)), [Says(halves(0, 2))]).assess(torch.rand(3, 20, 40))
    assert found.class_quality[:2] == pytest.approx([1, 0])


def test_an_ensemble_needs_members_of_its_classes():
    other = Says()
    other.classes = ("a", "b", "c")
    with pytest.raises(ConfigError, match="needs members"):
        Ensemble(Says(), [])
    with pytest.raises(
        ConfigError, match="member says knows the classes a, b, c, the segmenter under test road"
    ):
        Ensemble(Says(), [other])


def test_an_ensemble_is_saved_with_all_its_networks(tmp_path):
    judge = Ensemble(make_segmenter(), [make_segmenter(seed=3), make_segmenter(seed=4)])
    save_failure_detector(judge, tmp_path / "ensemble")
    again, image = load_failure_detector(tmp_path / "ensemble"), torch.rand(3, 32, 48)
    np.testing.assert_allclose(again.assess(image).error, judge.assess(image).error, atol=1e-6)
    assert len(again.members) == 2


def test_augmentation_undoes_what_it_did_to_the_image():
    image = torch.rand(3, 40, 64)
    judge = TestTimeAugmentation(make_segmenter(), scales=(1.0,))
    _, views = judge.samples(image)
    plain, mirrored = list(views)
    expected = judge.segmenter.segment(image.flip(-1)[None]).logits
    assert mirrored.shape == plain.shape == (3, 40, 64)
    again = torch.nn.functional.interpolate(expected, (40, 64), mode="bilinear")[0].flip(-1)
    torch.testing.assert_close(mirrored, again)


def test_augmentation_doubts_what_changes_when_mirrored():
    image = torch.zeros(3, 20, 40)
    image[..., :20] = 1
    found = TestTimeAugmentation(Says(), scales=(1.0, 0.5)).assess(image)
    assert (found.labels == 1).all()
    assert found.error == pytest.approx(0.5, abs=0.01), "two of four views are mirrored"


@pytest.mark.parametrize(
    "options", [{"scales": ()}, {"scales": (0.0, 1.0)}, {"scales": (1.0,), "mirror": False}]
)
def test_augmentation_needs_two_views(options):
    with pytest.raises(ConfigError, match="tta compares two predictions at least"):
        TestTimeAugmentation(Says(), **options)


def test_quality_by_agreement_or_by_confidence():
    image = torch.rand(3, 32, 48)
    agreed, sure = (
        MCDropout(make_segmenter(), quality=each).assess(image) for each in ("pairwise_dice", "confidence")
    )
    np.testing.assert_array_equal(agreed.error, sure.error)
    assert not np.allclose(agreed.class_quality, sure.class_quality, equal_nan=True)
    with pytest.raises(
        ConfigError, match="tta has no quality 'luck'; choose one of: pairwise_dice, confidence"
    ):
        TestTimeAugmentation(Says(), quality="luck")


def test_a_file_names_members_and_all(tmp_path, monkeypatch):
    import tiny_segmenter

    tiny_segmenter.register(monkeypatch)
    path = tmp_path / "judge.yaml"
    path.write_text("name: ensemble\nsegmenter: tiny\nmembers: [tiny, {name: tiny}]\n")
    found = choose_failure_detector(str(path))
    assert isinstance(found, Ensemble)
    assert [each.name for each in found.members] == ["tiny", "tiny"]
    with pytest.raises(ConfigError, match="'ensemble' among the failures needs members"):
        choose_failure_detector("ensemble", "tiny")
