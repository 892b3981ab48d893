import numpy as np
import pytest
import torch

from oodseg.core.errors import ScoreMapError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.io.score_statistics import measure_scores, score_maps_in


def measure(folder, **options):
    return measure_scores(score_maps_in(folder), **options)


def test_agrees_with_all_values_at_once(tmp_path, rng):
    maps = [rng.normal(5, 2, (24, 40)) for _ in range(3)]
    for number, values in enumerate(maps):
        np.save(tmp_path / f"{number}.npy", values)
    np.save(tmp_path / "constant.npy", np.zeros((24, 40)))
    (tmp_path / "broken.npy").write_bytes(b"x")
    (tmp_path / "._0.npy").write_bytes(b"x")
    found = measure(tmp_path)
    assert found.normalizer.mean == pytest.approx(np.mean(maps), rel=1e-5)
    assert found.normalizer.std == pytest.approx(np.std(maps), rel=1e-5)
    assert found.maps == 3
    median, (low, high) = np.median(maps), np.quantile(maps, [0.001, 0.999])
    assert found.below == pytest.approx((median - low) / np.std(maps), rel=1e-5)
    assert found.above == pytest.approx((high - median) / np.std(maps), rel=1e-5)
    assert measure(tmp_path, max_maps=4) == measure(tmp_path, max_maps=4)


def test_without_usable_maps(tmp_path):
    with pytest.raises(ScoreMapError, match="does not exist"):
        measure(tmp_path / "none")
    with pytest.raises(ScoreMapError, match="holds no score map"):
        measure(tmp_path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((24, 40)), "0 everywhere"),
        (np.zeros((3, 24, 40)), r"the shape \[3, 24, 40\]"),
        (np.full((24, 40), np.nan), "no finite value"),
        (np.full((24, 40), "a"), "instead of numbers"),
        (np.array([None]), "holds no array of numbers"),
    ],
)
def test_maps_that_all_have_a_fault(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ScoreMapError, match=rf"a\.npy .*{words}"):
        measure(tmp_path)
    (tmp_path / "b.npy").write_bytes(b"")
    with pytest.raises(ScoreMapError, match=rf"a\.npy .*{words}.* \(1 more "):
        measure(tmp_path)


def test_large_maps_are_thinned_evenly(tmp_path, rng):
    values = rng.normal(size=(1200, 1600)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    exact = ScoreNormalizer.fit([torch.from_numpy(values)])
    found = measure(tmp_path).normalizer
    assert found.mean == pytest.approx(exact.mean, abs=0.01)
    assert found.std == pytest.approx(exact.std, rel=0.01)


def test_maps_behind_links_count(tmp_path, rng):
    (tmp_path / "far").mkdir()
    (tmp_path / "scores").mkdir()
    np.save(tmp_path / "far" / "a.npy", rng.normal(size=(24, 40)))
    (tmp_path / "scores" / "more").symlink_to(tmp_path / "far")
    assert score_maps_in(tmp_path / "scores") == [tmp_path / "scores" / "more" / "a.npy"]


@pytest.mark.parametrize(
    ("values", "looks_reversed"),
    [
        (lambda rng: rng.gamma(0.5, 1.0, (96, 128)), False),
        (lambda rng: -rng.gamma(0.5, 1.0, (96, 128)), True),
        (lambda rng: rng.normal(size=(96, 128)), False),
        (lambda rng: 1 - rng.beta(8, 1, (96, 128)), False),
        (lambda rng: rng.beta(40, 1, (96, 128)), True),
        (lambda rng: rng.beta(2, 5, (96, 128)) * -1, False),
    ],
    ids=[
        "long tail above",
        "long tail below",
        "even",
        "one minus probability",
        "probability",
        "some tail below",
    ],
)
def test_a_wrong_sign_shows_in_the_tails(tmp_path, rng, values, looks_reversed):
    np.save(tmp_path / "a.npy", values(rng))
    assert measure(tmp_path).looks_reversed is looks_reversed
