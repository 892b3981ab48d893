import numpy as np
import pytest
import torch
from PIL import Image
from prompt_fakes import TINY

from oodseg.core.errors import DatasetError, ScoreMapError
from oodseg.training.given_scores import GivenScores, write_scenes
from oodseg.training.ordinary import OrdinaryStreets
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.scene_cache import SHARD, read_scenes
from training_data import make_training_data

RECIPE = PromptRecipe(
    **{**TINY, "sizes": [(64, 96)], "zoomed_sizes": [(40, 64)], "scenes": 16, "val_scenes": 8}
)


def score(image):
    return image[..., 0].astype(np.float32) - image[..., 1]


def score_all(images, maps):
    """What a user does: a map for every image, under its path."""
    for path in images.rglob("*.png"):
        target = (maps / path.relative_to(images)).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, score(np.asarray(Image.open(path))))
    return maps


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Folder with data, run, images and their maps."""
    root = tmp_path_factory.mktemp("work")
    make_training_data(root / "data")
    write_scenes(RECIPE, root / "data", root / "run", root / "images")
    score_all(root / "images", root / "maps")
    return root


def test_every_scene_and_every_ordinary_street_is_written(work) -> None:
    names = sorted(path.relative_to(work / "images").as_posix() for path in work.glob("images/*/*.png"))
    scenes = [f"train/0000{file}_{index}.png" for file in (0, 1) for index in range(SHARD)]
    scenes += [f"val/00000_{index}.png" for index in range(SHARD)]
    streets = [f"ordinary/{name}.png" for name in OrdinaryStreets(work / "data").names]
    assert names == sorted(scenes + streets)
    assert "--score-maps" in (work / "images" / "README.md").read_text()
    # The scenes are those whose truth the run keeps, large ones in twice the working size.
    images, _ = read_scenes(work / "run" / "scenes-train", 1)
    assert images.shape[1:] == (80, 128, 3)
    written = np.asarray(Image.open(work / "images" / "train" / "00001_3.png"))
    np.testing.assert_array_equal(written, images[3])
    street = next(iter(OrdinaryStreets(work / "data")))
    np.testing.assert_array_equal(np.asarray(Image.open(work / "images" / streets[0])), street)


def test_what_is_written_already_stays(work) -> None:
    path = work / "images" / "train" / "00000_0.png"
    before = path.stat().st_mtime_ns
    write_scenes(RECIPE, work / "data", work / "run", work / "images")
    assert path.stat().st_mtime_ns == before


def test_maps_are_normalised_by_those_of_ordinary_streets(work) -> None:
    source = GivenScores(work / "maps", work / "data", work / "run")
    ordinary = np.concatenate([score(each).ravel() for each in OrdinaryStreets(work / "data")])
    assert source.scale.mean == pytest.approx(ordinary.mean(), rel=1e-4)
    assert source.scale.std == pytest.approx(ordinary.std(), rel=1e-4)
    found = torch.cat([each.score.flatten() for each in source.ordinary(work / "data")])
    assert abs(float(found.mean())) < 0.05
    images, _ = read_scenes(work / "run" / "scenes-train", 0)
    (score_map,) = source.scene(images[2], "train/00000_2", 1, further=True).maps
    torch.testing.assert_close(score_map, source.scale(torch.from_numpy(score(images[2]))))


def test_maps_of_large_scenes_come_at_the_working_size_and_may_be_smaller(work, tmp_path) -> None:
    source = GivenScores(work / "maps", work / "data", work / "run")
    images, _ = read_scenes(work / "run" / "scenes-train", 1)
    assert source.scene(images[0], "train/00001_0", 2, further=False).maps[0].shape == (40, 64)
    path = work / "maps" / "train" / "00001_0.npy"
    np.save(path, np.load(path)[::4, ::4])
    assert source.scene(images[0], "train/00001_0", 2, further=False).maps[0].shape == (40, 64)


def test_other_maps_are_told_apart(work, tmp_path) -> None:
    score_all(work / "images", tmp_path)
    first = GivenScores(work / "maps", work / "data", work / "run").fingerprint
    assert GivenScores(tmp_path, work / "data", work / "run").fingerprint == first
    for path in tmp_path.glob("ordinary/*.npy"):
        np.save(path, np.load(path) ** 2)
    assert GivenScores(tmp_path, work / "data", work / "run").fingerprint != first


def test_what_is_missing_or_of_another_shape_is_named(work, tmp_path) -> None:
    with pytest.raises(DatasetError, match="write them out first, with --write-scenes and the same --out"):
        GivenScores(work / "maps", work / "data", tmp_path)
    source = GivenScores(work / "maps", work / "data", work / "run")
    with pytest.raises(ScoreMapError, match="no score map named 'train/00009_0'"):
        source.scene(np.zeros((64, 96, 3), np.uint8), "train/00009_0", 1, further=False)
    with pytest.raises(ScoreMapError, match="its image is 96x96"):
        source.scene(np.zeros((96, 96, 3), np.uint8), "train/00000_0", 1, further=False)
    score_all(work / "images", tmp_path)
    next(tmp_path.glob("ordinary/*.npy")).unlink()
    with pytest.raises(ScoreMapError, match="no score map named 'ordinary/"):
        GivenScores(tmp_path, work / "data", work / "run")
