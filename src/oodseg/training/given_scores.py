"""Score maps that were made elsewhere: writes out what is to be scored, and reads the maps back.

1. `write_scenes` writes `train/` and `val/`, the scenes to learn and validate on, and `ordinary/`, streets in
   which nothing is unknown.
2. Whoever has a method of their own scores every image and saves the map under the image's path in another
   folder.
3. `GivenScores` reads these.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.errors import DatasetError
from oodseg.core.files import write_bytes
from oodseg.core.fingerprint import hash_json
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.progress import Progress, track
from oodseg.core.working_size import WORKING_SIDE, working_size
from oodseg.io.images import resize
from oodseg.io.score_files import ScoreFiles
from oodseg.io.scoremaps import read_score_map
from oodseg.training.ordinary import OrdinaryStreets
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.prompt_scenes import make_scenes, scene_folder
from oodseg.training.scene_cache import SHARD, read_scenes, scene_name
from oodseg.training.score_source import Ordinary, Scored

# Large scenes are written in twice the working size: pipelines work at half of an image's size.
ZOOM = 2
_SPLITS = ("train", "val")
_ORDINARY = "ordinary"
_README = """Give every image an anomaly score per pixel: higher for more anomalous, of any range. Save it in
another folder under the image's path with another suffix: `train/00000_0.npy` for `train/00000_0.png`. It may
be .npy or .npz with one array [h, w], grey 16-bit .png, or .hdf5, of the image's size or a smaller one of the
same shape. Then run the command that wrote this folder again, with --score-maps FOLDER in place of
--write-scenes.

train/ and val/ hold scenes with unknown objects, ordinary/ streets without any.
"""


def write_scenes(
    recipe: PromptRecipe, data_root: Path, out: Path, folder: Path, progress: Progress | None = None
) -> None:
    """Writes the images that are to be scored; what is there already stays.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run, which gets the scenes with the truth about them.
        folder: Folder for the images.
        progress: Told after every file.

    Raises:
        DatasetError: Missing data, or `out` holds scenes of another recipe.
    """
    make_scenes(recipe, data_root, out, ZOOM, progress)
    for split, count in zip(_SPLITS, (recipe.scenes, recipe.val_scenes), strict=True):
        for number in track(range(-(-count // SHARD)), f"writing {split}", progress):
            images, _ = read_scenes(scene_folder(out, split), number)
            for index, image in enumerate(images):
                _write(folder / f"{scene_name(split, number, index)}.png", image)
    streets = OrdinaryStreets(data_root)
    for name, image in zip(track(streets.names, f"writing {_ORDINARY}", progress), streets, strict=True):
        _write(folder / _ORDINARY / f"{name}.png", image)
    write_bytes(folder / "README.md", _README.encode())


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    if not path.is_file():
        write_bytes(path, bytes(cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1]))


class GivenScores:
    """Score maps of the images that `write_scenes` wrote.

    Args:
        folder: Holds a map per image, named like it.
        data_root: Folder of the training data.
        out: Folder of the run that the images were written from.

    Attributes:
        zoom: See `ScoreSource`.
        scale: Statistics of the maps of ordinary images.

    Raises:
        DatasetError: The run holds no scenes.
        ScoreMapError: A map of an ordinary image is missing or cannot be used, or they do not vary.
    """

    zoom = ZOOM

    def __init__(self, folder: Path, data_root: Path, out: Path) -> None:
        if not scene_folder(out, _SPLITS[0]).is_dir():
            raise DatasetError(
                f"{out} holds no scenes that could have been scored: write them out first, with "
                "--write-scenes and the same --out"
            )
        self._files, self._streets = ScoreFiles(folder), OrdinaryStreets(data_root)
        self.scale = ScoreNormalizer.fit(self._ordinary_maps())

    @property
    def fingerprint(self) -> str:
        """See `ScoreSource`; another method's maps have other statistics."""
        return hash_json([self.scale.mean, self.scale.std])[:16]

    def scene(self, image: NDArray[np.uint8], name: str, zoom: int, further: bool) -> Scored:
        """See `ScoreSource`.

        Raises:
            ScoreMapError: The map is missing, cannot be used, or is not of the image's shape.
        """
        height, width = image.shape[:2]
        return Scored([self.scale(self._read(name, (height, width), (height // zoom, width // zoom)))])

    def ordinary(self, data_root: Path) -> Iterator[Ordinary]:
        """See `ScoreSource`."""
        return (Ordinary(self.scale(each)) for each in self._ordinary_maps())

    def _ordinary_maps(self) -> Iterator[Tensor]:
        """The maps of ordinary images at the size that a pipeline works at."""
        for name, image in zip(self._streets.names, self._streets, strict=True):
            height, width = image.shape[:2]
            seen = working_size(height, width, WORKING_SIDE)
            yield self._read(f"{_ORDINARY}/{name}", (height, width), seen)

    def _read(self, name: str, of: tuple[int, int], seen: tuple[int, int]) -> Tensor:
        """The map of an image of size `of`, at the size `seen`."""
        found = read_score_map(self._files.find(name), allow_constant=True)
        found.check_size(*of)
        return torch.from_numpy(resize(found.scores, *seen))
