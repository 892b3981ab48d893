import math

import numpy as np
import pytest

from failure_fakes import HEIGHT, WIDTH, RedIsWrong
from oodseg.core.errors import ConfigError
from oodseg.evaluation.quality_intervals import JudgedImages, fit_intervals, judge_labelled
from oodseg.metrics.conformal import coverage


def simulated(count, seed, bias=0.0):
    """Images whose judge is right but for its bias and a noise that grows with what it takes for wrong."""
    rng = np.random.default_rng(seed)
    mean, wrong = rng.uniform(0.3, 0.9, count), rng.uniform(0, 0.5, count)
    noise = (0.02 + 0.2 * wrong) * rng.standard_t(4, count)
    return JudgedImages(mean, wrong, np.clip(mean + bias + noise, 0, 1))


@pytest.mark.parametrize("bias", [0.0, -0.2])
def test_new_images_lie_in_their_intervals_as_often_as_promised(bias):
    held, widths = [], []
    for seed in range(200):
        both = simulated(120 + 50, seed, bias)
        old, new = both.take(np.arange(120)), both.take(np.arange(120, 170))
        low, high = new.intervals(fit_intervals(old, 0.9, seed=seed))
        held.append(coverage(low, high, new.true))
        widths.append(np.corrcoef(high - low, new.wrong)[0, 1])
    # 80 images stand behind the bound, and 73 of 81 is the least share of at least 0.9.
    assert np.mean(held) == pytest.approx(73 / 81, abs=0.012)
    assert np.mean(widths) > 0.5, "wide where the judge expects mistakes"


def test_intervals_are_narrower_than_without_a_judge():
    old, new = simulated(300, 1), simulated(400, 2)
    low, high = new.intervals(fit_intervals(old, 0.9))
    without = JudgedImages(np.zeros(300), np.zeros(300), old.true)
    all_low, all_high = without.intervals(fit_intervals(without, 0.9))
    assert np.mean(high - low) < np.mean(all_high - all_low) * 2 / 3


def test_what_a_fit_says_of_itself():
    found = fit_intervals(simulated(90, 0), 0.8, "Dice", "scans", seed=3)
    assert (found.level, found.quality, found.images, found.data) == (0.8, "Dice", 60, "scans")
    assert found == fit_intervals(simulated(90, 0), 0.8, "Dice", "scans", seed=3)


@pytest.mark.parametrize(("count", "level", "least"), [(10, 0.9, 15), (20, 0.95, 30), (3, 0.5, 15)])
def test_too_few_images_are_counted(count, level, least):
    with pytest.raises(ConfigError, match=f"{count} labelled images are too few.*give at least {least}"):
        fit_intervals(simulated(count, 0), level)
    assert math.isfinite(fit_intervals(simulated(least, 0), level).bound)


def test_a_level_is_a_probability():
    with pytest.raises(ConfigError, match="between 0 and 1, not at 90"):
        fit_intervals(simulated(50, 0), 90)


def labelled(red):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, :red, 0] = 255
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[: HEIGHT // 2, red:] = 1
    return image, truth


def test_a_judge_beside_the_truth():
    nothing = np.full((HEIGHT, WIDTH), 255, np.uint8)
    calls = []
    images = [labelled(0), labelled(16), (labelled(0)[0], nothing)]
    found = judge_labelled(RedIsWrong(), images, told=lambda: calls.append(1))
    assert len(found) == 2, "an image without a truth does not count"
    assert len(calls) == 3
    assert found.mean == pytest.approx([1, 0.75])
    assert found.wrong == pytest.approx([0, 0.25])
    upper, lower = 0.75, 0.5 / (0.5 + 0.125)
    assert found.true == pytest.approx([1, (upper + lower) / 2])
    dice = judge_labelled(RedIsWrong(), images[1:2], "Dice")
    assert dice.true == pytest.approx([(2 * upper / (1 + upper) + 2 * lower / (1 + lower)) / 2])
