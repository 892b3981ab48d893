import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_fakes import FakeDetector, FakeSampler, fill

from oodseg.core.errors import DatasetError
from oodseg.training.scene_cache import SHARD, cache_scenes
from oodseg.training.score_cache import ScoreCache, cache_scores, object_boxes
from oodseg.training.score_source import DetectorScores


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_boxes_are_tight(seed) -> None:
    unknown = FakeSampler((40, 50)).sample(np.random.default_rng(seed)).unknown
    expected = []
    for index in range(1, 255):
        ys, xs = np.where(unknown == index)
        if len(ys) >= 30 and np.ptp(ys) >= 5 and np.ptp(xs) >= 5:
            expected.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert object_boxes(unknown).tolist() == expected


@pytest.mark.parametrize(
    ("rows", "columns", "index", "count"),
    [
        (slice(0, 6), slice(0, 6), 1, 1),
        (slice(0, 5), slice(0, 20), 1, 0),  # too low
        (slice(0, 20), slice(0, 5), 1, 0),  # too narrow
        (slice(0, 20), slice(0, 20), 255, 0),  # ignored
        (slice(0, 20), slice(0, 20), 254, 1),
    ],
)
def test_which_objects_get_a_box(rows, columns, index, count) -> None:
    unknown = np.zeros((30, 30), np.uint8)
    unknown[rows, columns] = index
    assert object_boxes(unknown).shape == (count, 4)


def test_one_box_for_each_of_two_objects_and_one_for_a_split_one() -> None:
    unknown = np.zeros((30, 60), np.uint8)
    unknown[2:10, 2:10] = 1
    unknown[2:10, 40:48] = 2
    unknown[20:28, 40:48] = 2
    assert object_boxes(unknown).tolist() == [[2, 2, 10, 10], [40, 2, 48, 28]]


def test_cache_holds_normalised_scores_of_every_channel_and_size(tmp_path) -> None:
    detector = FakeDetector()
    fill(detector, [(FakeSampler((32, 40)), 1), (FakeSampler((24, 48)), 1)], SHARD + 1, tmp_path, seed=3)
    cache = ScoreCache(tmp_path)
    assert len(cache) == 2 * SHARD
    assert cache[0].scores.shape == (2, 32, 40)
    assert cache[SHARD].scores.shape == (1, 24, 48)  # one file in four keeps every channel
    assert cache.box_counts.tolist() == [len(cache[index].boxes) for index in range(len(cache))]
    assert cache.box_counts.min() == 0 < cache.box_counts.max()
    rng = np.random.default_rng([3, 0])
    scene = [FakeSampler((32, 40)).sample(rng) for _ in range(2)][1]
    image = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255
    expected = detector.normalizer(detector.score(image)[0])
    np.testing.assert_allclose(cache[1].scores[0], expected.numpy(), atol=0.01)
    np.testing.assert_array_equal(cache[1].boxes, object_boxes(scene.unknown))


def test_one_file_in_four_keeps_every_channel(tmp_path) -> None:
    fill(FakeDetector(), [(FakeSampler((16, 16)), 1)], 6 * SHARD, tmp_path)
    cache = ScoreCache(tmp_path)
    assert [len(cache[number * SHARD].scores) for number in range(6)] == [2, 1, 1, 1, 2, 1]
    detector, first = FakeDetector(), cache[0]
    raw = first.scores[0].astype(np.float32) / 16 + 0.25  # of the grey value
    energy = detector.further_scores(torch.from_numpy(raw)[None, None])["energy"][0]
    np.testing.assert_allclose(first.scores[1], energy.numpy(), atol=0.02)


def test_features_are_kept_beside_the_scores(tmp_path) -> None:
    detector = FakeDetector()
    fill(detector, [(FakeSampler((32, 48)), 1)], 1, tmp_path, seed=3)
    cache = ScoreCache(tmp_path)
    rng = np.random.default_rng([3, 0])
    for index in range(SHARD):
        scene, kept = FakeSampler((32, 48)).sample(rng), cache[index]
        assert [each.shape for each in kept.features] == [(3, 4, 6), (5, 2, 3)]
        assert {each.dtype for each in kept.features} == {np.dtype(np.float16)}
        image = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255
        for each, expected in zip(kept.features, detector.look(image).features, strict=True):
            np.testing.assert_allclose(each, expected[0].numpy(), atol=1e-3)


def test_a_detector_without_features_leaves_none(tmp_path) -> None:
    fill(FakeDetector(features=False), [(FakeSampler((16, 16)), 1)], 1, tmp_path)
    assert ScoreCache(tmp_path)[0].features == ()


def test_larger_scenes_are_kept_at_the_working_size(tmp_path) -> None:
    detector = FakeDetector()
    samplers = [(FakeSampler((64, 96)), 2), (FakeSampler((32, 48)), 1)]
    fill(detector, samplers, 2 * SHARD, tmp_path, seed=5)
    cache = ScoreCache(tmp_path)
    assert detector.seen == {(2, 64, 96), (1, 32, 48)}
    rng = np.random.default_rng([5, 0])
    boxes = 0
    for index in range(SHARD):
        scene, kept = FakeSampler((64, 96)).sample(rng), cache[index]
        # Only the shipped score knows how to look closer.
        assert kept.scores.shape == (1, 32, 48)
        image = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255
        expected = detector.normalizer(detector.look(image, 2).scores[0])
        np.testing.assert_allclose(kept.scores[0], expected.numpy(), atol=0.01)
        np.testing.assert_array_equal(kept.boxes, object_boxes(scene.unknown[::2, ::2]))
        boxes += len(kept.boxes)
    assert boxes > 3


def test_interrupted_cache_goes_on_and_ends_the_same(tmp_path) -> None:
    samplers = [(FakeSampler((24, 24)), 1)]
    fill(FakeDetector(), samplers, 3 * SHARD, tmp_path / "whole")
    fill(FakeDetector(), samplers, SHARD, tmp_path / "parts")
    first = (tmp_path / "parts" / "00000.npz").stat().st_mtime_ns
    fill(FakeDetector(), samplers, 3 * SHARD, tmp_path / "parts")
    assert (tmp_path / "parts" / "00000.npz").stat().st_mtime_ns == first
    whole, parts = ScoreCache(tmp_path / "whole"), ScoreCache(tmp_path / "parts")
    for index in range(len(whole)):
        np.testing.assert_array_equal(whole[index].scores, parts[index].scores)
    assert [path.name for path in tmp_path.glob("*/.*")] == []


def test_another_detector_is_refused(tmp_path) -> None:
    fill(FakeDetector(), [(FakeSampler((16, 16)), 1)], 1, tmp_path)
    with pytest.raises(DatasetError, match="another detector or of other scenes"):
        fill(FakeDetector(mean=0.5), [(FakeSampler((16, 16)), 1)], 1, tmp_path)


def test_scores_of_other_scenes_are_refused(tmp_path) -> None:
    for seed in (1, 2):
        cache_scenes([FakeSampler((16, 16))], 1, tmp_path / str(seed), seed)
    source = DetectorScores(FakeDetector())
    cache_scores(source, "train", tmp_path / "1", [1], 1, tmp_path / "scores")
    cache_scores(source, "train", tmp_path / "1", [1], 1, tmp_path / "scores")
    for scenes, zooms in (("2", [1]), ("1", [2])):
        with pytest.raises(DatasetError, match="other scenes: delete the folder"):
            cache_scores(source, "train", tmp_path / scenes, zooms, 1, tmp_path / "scores")


def test_order_is_a_permutation_that_stays_in_few_files(tmp_path) -> None:
    fill(FakeDetector(), [(FakeSampler((16, 16)), 1)], 20 * SHARD, tmp_path)
    cache = ScoreCache(tmp_path)
    first, second = cache.order(0, seed=1), cache.order(1, seed=1)
    assert sorted(first) == sorted(second) == list(range(20 * SHARD))
    assert first.tolist() == cache.order(0, seed=1).tolist() != second.tolist()
    assert len(set(first[: 8 * SHARD] // SHARD)) == 8


def test_nothing_there_or_damaged(tmp_path) -> None:
    with pytest.raises(DatasetError, match="no cached score maps"):
        ScoreCache(tmp_path)
    fill(FakeDetector(), [(FakeSampler((16, 16)), 1)], 1, tmp_path)
    shard = tmp_path / "00000.npz"
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(DatasetError, match="damaged"):
        ScoreCache(tmp_path)
    (tmp_path / "cache.json").write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match="damaged"):
        ScoreCache(tmp_path)
