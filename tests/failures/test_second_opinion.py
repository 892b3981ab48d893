import numpy as np
import pytest
import torch

from failure_parts import CLASSES
from oodseg.core.errors import ConfigError
from oodseg.core.parts import Assessment, Judge
from oodseg.core.values import Segmentation
from oodseg.failures.loading import ask_others
from oodseg.failures.second_opinion import SecondOpinion
from oodseg.segmenters import Segmenter


class Sure(Judge):
    """Gives every image the same labels with the same chance of being wrong."""

    name = "sure"
    classes = CLASSES

    def __init__(self, error):
        self.error = error

    def assess(self, image, labels=None):
        size = image.shape[-2:]
        judged = np.zeros(size, np.uint8) if labels is None else labels.numpy().astype(np.uint8)
        quality = np.array([0.5, np.nan, np.nan], np.float32)
        return Assessment(judged, np.full(size, self.error, np.float32), None, quality, 0.5)


class Gives(Segmenter):
    """Gives classes the same probabilities everywhere, at half the size."""

    name = "gives"

    def __init__(self, *probabilities, classes=CLASSES):
        self.logits, self.classes = torch.tensor(probabilities).log(), classes

    def segment(self, images):
        rows, columns = images.shape[-2] // 2, images.shape[-1] // 2
        return Segmentation(self.logits[None, :, None, None].expand(1, 3, rows, columns))


IMAGE = torch.rand(3, 8, 12)


def pooled(*errors):
    """The mean of the log-odds, in plain numpy."""
    odds = np.log(np.array(errors)) - np.log1p(-np.array(errors))
    return 1 / (1 + np.exp(-odds.mean()))


@pytest.mark.parametrize(
    ("members", "errors"),
    [
        ([Gives(0.9, 0.05, 0.05)], [0.1]),
        ([Gives(0.2, 0.7, 0.1), Gives(0.6, 0.2, 0.2)], [0.8, 0.4]),
        ([Gives(1.0, 1e-9, 1e-9)], [1e-6]),
        ([Gives(1e-9, 1.0, 1e-9)], [1 - 1e-6]),
    ],
)
def test_log_odds_are_averaged(members, errors):
    found = SecondOpinion(Sure(0.3), members).assess(IMAGE)
    assert found.error.shape == (8, 12)
    assert found.error.dtype == np.float32
    assert found.error == pytest.approx(pooled(0.3, *errors), abs=1e-4)


def test_labels_and_qualities_stay_the_judges():
    found = SecondOpinion(Sure(0.3), [Gives(0.2, 0.7, 0.1)]).assess(IMAGE)
    own = Sure(0.3).assess(IMAGE)
    np.testing.assert_array_equal(found.labels, own.labels)
    np.testing.assert_array_equal(found.class_quality, own.class_quality)
    assert found.mean_quality == own.mean_quality


def test_labels_from_elsewhere_are_judged():
    labels = torch.tensor([0, 1, 2]).repeat_interleave(4).expand(8, 12)
    found = SecondOpinion(Sure(0.3), [Gives(0.5, 0.4, 0.1)]).assess(IMAGE, labels)
    for code, chance in enumerate((0.5, 0.4, 0.1)):
        assert found.error[labels == code] == pytest.approx(pooled(0.3, 1 - chance), abs=1e-5)


def test_members_of_other_classes_or_none_are_refused():
    with pytest.raises(ConfigError, match=r"gives knows the classes a, b, c, the judge road, car, sky"):
        SecondOpinion(Sure(0.3), [Gives(0.5, 0.4, 0.1, classes=("a", "b", "c"))])
    with pytest.raises(ConfigError, match="name one or more"):
        SecondOpinion(Sure(0.3), [])
    judge = Sure(0.3)
    assert ask_others(judge, []) is judge
