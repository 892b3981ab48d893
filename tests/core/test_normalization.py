import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodseg.core.errors import ScoreMapError
from oodseg.core.normalization import ScoreNormalizer


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.floats(-50, 50), st.floats(0.1, 20))
@settings(max_examples=40, deadline=None)
def test_fit_is_the_mean_and_deviation_of_all_pixels(sizes, mean, std) -> None:
    rng = np.random.default_rng(sum(sizes))
    maps = [rng.normal(mean, std, (2, size)) for size in sizes]
    fitted = ScoreNormalizer.fit(torch.from_numpy(each) for each in maps)
    pixels = np.concatenate([each.ravel() for each in maps])
    assert fitted.mean == pytest.approx(pixels.mean(), rel=1e-9, abs=1e-9)
    assert fitted.std == pytest.approx(pixels.std(), rel=1e-9)


def test_fit_stays_exact_far_from_zero() -> None:
    values = torch.arange(1000, dtype=torch.float64).view(10, 100) + 1e9
    fitted = ScoreNormalizer.fit(values)
    assert fitted.std == pytest.approx(np.arange(1000).std(), rel=1e-9)


def test_small_differences_far_from_zero_survive() -> None:
    values = 1e9 + torch.arange(100, dtype=torch.float64) / 1000
    found = ScoreNormalizer.fit([values])(values)
    assert found.dtype == torch.float32
    assert (found.diff() > 0).all()
    assert found.mean().abs() < 1e-3


def test_fit_leaves_out_what_is_not_finite() -> None:
    maps = [torch.tensor([1.0, float("nan"), 3.0]), torch.tensor([float("inf")]), torch.tensor([5.0])]
    fitted = ScoreNormalizer.fit(maps)
    assert (fitted.mean, fitted.std) == pytest.approx((3.0, np.std([1, 3, 5])))


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ([], "no finite, varying values"),
        ([torch.tensor([float("nan")])], "all scores are NaN or infinite, .*look for NaN in its weights"),
        ([torch.full((3, 3), 7.0)], "no finite, varying values"),
        ([torch.zeros(0)], "no finite, varying values"),
    ],
)
def test_fit_needs_values_that_vary(maps, words) -> None:
    with pytest.raises(ScoreMapError, match=words):
        ScoreNormalizer.fit(maps)


def test_one_scale_whatever_the_range_of_the_score() -> None:
    scores = torch.randn(2, 50, 50)
    results = []
    for gain, bias in ((1.0, 0.0), (0.05, 3.0), (400.0, -9.0)):
        stretched = scores * gain + bias
        results.append(ScoreNormalizer.fit([stretched])(stretched))
        assert results[-1].mean().item() == pytest.approx(0, abs=1e-3)
        assert results[-1].std(correction=0).item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(results[0], results[1], atol=1e-3, rtol=0)
    torch.testing.assert_close(results[0], results[2], atol=1e-3, rtol=0)


@pytest.mark.parametrize(("score", "expected"), [(10, 0), (12, 1), (8, -1), (-1e9, -4), (1e9, 16), (43, 16)])
def test_values_and_clamp(score, expected) -> None:
    result = ScoreNormalizer(10, 2)(torch.tensor([float(score)], dtype=torch.float64))
    assert result.dtype == torch.float32
    assert result.item() == expected


def test_higher_stays_higher() -> None:
    scores = torch.linspace(-20, 60, 200)
    assert (ScoreNormalizer(3.0, 5.0)(scores).diff() >= 0).all()


@pytest.mark.parametrize(
    ("mean", "std"), [(0, 0), (0, -1), (float("nan"), 1), (0, float("inf")), (0, float("nan"))]
)
def test_impossible_statistics(mean, std) -> None:
    with pytest.raises(ScoreMapError, match="std > 0"):
        ScoreNormalizer(mean, std)
