"""Keeps outlier-exposure scenes on disk: they depend on no detector and take as long to make as to score."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, cause
from oodseg.core.files import atomic_path
from oodseg.core.progress import Progress, track
from oodseg.training.cache_head import check_head

SHARD = 8  # scenes per file: small enough that a few fit in memory, large enough to be few


class Scene(Protocol):
    """Names what is read of a synthetic scene: the image, and the index of the unknown object per pixel."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 `[H, W, 3]`, RGB."""
        ...

    @property
    def unknown(self) -> NDArray[np.uint8]:
        """uint8 `[H, W]`: 0, index of the unknown object, or 255."""
        ...


class Sampler(Protocol):
    """Makes scenes of one size."""

    def sample(self, rng: np.random.Generator) -> Scene:
        """Makes one scene from the generator's state."""
        ...


def cache_scenes(
    samplers: Sequence[Sampler],
    n: int,
    out: Path,
    seed: int = 0,
    progress: Progress | None = None,
    made_of: Any = None,
) -> None:
    """Fills `out` with at least `n` scenes; goes on where an interrupted call stopped.

    Scenes are made in files of eight, one size per file, the samplers taking turns. Every file depends on
    the seed and its number alone.

    Args:
        samplers: One for each image size.
        n: Scenes, rounded up to whole files.
        out: Folder; made if missing.
        seed: Of all scenes.
        progress: Told after every file.
        made_of: Whatever else the scenes depend on, JSON-able.

    Raises:
        DatasetError: The folder holds scenes of another seed or kind.
    """
    check_head(out, {"seed": seed, "made_of": made_of}, "scenes of another seed or kind")
    for number in track(range(-(-n // SHARD)), f"scenes in {out.name}", progress):
        path = out / f"{number:05d}.npz"
        if not path.is_file():
            rng = np.random.default_rng([seed, number])
            scenes = [samplers[number % len(samplers)].sample(rng) for _ in range(SHARD)]
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    images=np.stack([each.image for each in scenes]),
                    unknown=np.stack([each.unknown for each in scenes]),
                )


def scene_name(split: str, number: int, index: int) -> str:
    """Names a scene by its place: `train/00003_5` is the sixth of the fourth file to learn on."""
    return f"{split}/{number:05d}_{index}"


def read_scenes(folder: Path, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads a file of scenes.

    Args:
        folder: What `cache_scenes` filled.
        number: Of the file.

    Returns:
        Images uint8 `[8, H, W, 3]` and indices of unknown objects uint8 `[8, H, W]`.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    path = folder / f"{number:05d}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["images"]), np.asarray(file["unknown"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is missing or damaged ({cause(error)}): fill the cache again") from error
