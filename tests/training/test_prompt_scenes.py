import numpy as np
from prompt_fakes import FakeDetector, with_features

from oodseg.training.prompt_scenes import make_caches
from oodseg.training.scene_cache import read_scenes
from oodseg.training.score_cache import ScoreCache
from oodseg.training.score_source import DetectorScores
from training_data import make_training_data


def test_scenes_come_in_every_size_and_as_large_as_the_detector_wants_them(tmp_path) -> None:
    make_training_data(tmp_path / "data")
    recipe = with_features(sizes=[(64, 80)], zoomed_sizes=[(40, 64)], scenes=16, val_scenes=9)
    detector = FakeDetector()
    make_caches(recipe, tmp_path / "data", tmp_path, DetectorScores(detector))
    assert detector.seen == {(1, 64, 80), (2, 80, 128)}
    for split in ("train", "val"):
        cache = ScoreCache(tmp_path / f"scores-{split}")
        assert [cache[index].scores.shape for index in (0, 8)] == [(2, 64, 80), (1, 40, 64)]
        assert len(cache) == 16
    train_images, val_images = (read_scenes(tmp_path / f"scenes-{split}", 0)[0] for split in ("train", "val"))
    assert not np.array_equal(train_images, val_images)
    # Another detector's scores need no new scenes.
    before = (tmp_path / "scenes-train" / "00000.npz").stat().st_mtime_ns
    for split in ("train", "val"):
        (tmp_path / f"scores-{split}").rename(tmp_path / f"old-{split}")
    make_caches(recipe, tmp_path / "data", tmp_path, DetectorScores(FakeDetector(mean=0.5)))
    assert (tmp_path / "scenes-train" / "00000.npz").stat().st_mtime_ns == before
