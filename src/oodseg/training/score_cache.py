"""Score maps of outlier-exposure scenes with the boxes of their unknown objects, kept on disk.

The prompt generator sees nothing but score maps, and the detector's forward pass costs far more than
its own step: the maps are made once.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError, cause
from oodseg.core.files import atomic_path
from oodseg.core.progress import Progress, track
from oodseg.training.cache_head import check_head, read_head
from oodseg.training.scene_cache import SHARD, read_scenes, scene_name
from oodseg.training.score_source import Scored, ScoreSource

_IGNORE = 255
_OPEN_SHARDS = 8
# One in this many files keeps all scores of a detector; the others keep its own alone.
_ALL_SCORES_EVERY = 4


@dataclass(frozen=True)
class CachedScene:
    """One scene of a cache.

    Attributes:
        scores: Float16 `[C, H, W]`, normalised; channel 0 is the detector's own score.
        boxes: Float32 `[N, 4]`, `xyxy`, N may be 0.
        features: Float16 `[D, h, w]` each: image features behind channel 0; empty if none were kept.
    """

    scores: NDArray[np.float16]
    boxes: NDArray[np.float32]
    features: tuple[NDArray[np.float16], ...] = ()


def object_boxes(unknown: NDArray[np.uint8], min_side: int = 6, min_pixels: int = 30) -> NDArray[np.float32]:
    """Finds the tightest rectangle around the visible part of each unknown object (S2M, CVPR 2024, Eq. 5).

    One box per object; the paper's release drew one around all of an image's unknown pixels.

    Args:
        unknown: uint8 `[H, W]`: 0 nothing unknown, 1..254 index of the object, 255 ignored.
        min_side: Objects whose visible part is narrower or lower, in pixels, get no box.
        min_pixels: Nor do objects of fewer visible pixels.

    Returns:
        Float32 `[N, 4]`, `xyxy`, in the order of the indices.
    """
    boxes = []
    for index in np.flatnonzero(np.bincount(unknown.ravel(), minlength=256)[:_IGNORE] >= min_pixels):
        if index == 0:
            continue
        ys, xs = np.nonzero(unknown == index)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        if box[2] - box[0] >= min_side and box[3] - box[1] >= min_side:
            boxes.append(box)
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def cache_scores(
    source: ScoreSource,
    split: str,
    scenes: Path,
    zooms: Sequence[int],
    n: int,
    out: Path,
    progress: Progress | None = None,
) -> None:
    """Fills `out` with the score maps of cached scenes; goes on where an interrupted call stopped.

    Args:
        source: Gives the scores.
        split: What the scenes are for: `"train"` or `"val"`.
        scenes: What `cache_scenes` filled.
        zooms: How many times the working size the scenes of each sampler have, in their order.
        n: Scenes, rounded up to whole files.
        out: Folder; made if missing.
        progress: Told after every file.

    Raises:
        DatasetError: The folder holds the score maps of another detector or of other scenes.
    """
    made_of = {"scenes": read_head(scenes), "zooms": list(zooms)}
    head = {"source": source.fingerprint, "made_of": made_of}
    check_head(out, head, "score maps of another detector or of other scenes")
    for number in track(range(-(-n // SHARD)), f"score maps in {out.name}", progress):
        path = out / f"{number:05d}.npz"
        if not path.is_file():
            zoom = zooms[number % len(zooms)]
            further = zoom == 1 and number % _ALL_SCORES_EVERY == 0
            images, unknown = read_scenes(scenes, number)
            scored = [
                source.scene(image, scene_name(split, number, index), zoom, further)
                for index, image in enumerate(images)
            ]
            _write_shard(path, scored, [object_boxes(codes[::zoom, ::zoom]) for codes in unknown])


def _write_shard(path: Path, scored: Sequence[Scored], boxes: Sequence[NDArray[np.float32]]) -> None:
    scores = [torch.stack(list(each.maps)).half().cpu().numpy() for each in scored]
    owner = np.repeat(np.arange(len(boxes)), [len(each) for each in boxes])
    by_level = zip(*([level.half().cpu().numpy() for level in each.features] for each in scored), strict=True)
    levels: dict[str, Any] = {f"features{level}": np.stack(each) for level, each in enumerate(by_level)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, scores=np.stack(scores), boxes=np.concatenate(boxes), owner=owner, **levels)


class ScoreCache:
    """Reads what `cache_scores` wrote; scenes of the files used last stay in memory.

    Args:
        folder: Folder of the cache.

    Attributes:
        box_counts: Int64 `[len]`, boxes of every scene.

    Raises:
        DatasetError: No cache there, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        head = read_head(folder)
        self._files = sorted(folder.glob("[0-9]*.npz"))
        if head is None or not self._files:
            raise DatasetError(f"{folder} holds no cached score maps: make them with `cache_scores` first")
        counts = [np.bincount(self._read(path, "owner")["owner"], minlength=SHARD) for path in self._files]
        self.box_counts: NDArray[np.int64] = np.concatenate(counts)
        self._open: dict[int, list[CachedScene]] = {}

    def __len__(self) -> int:
        return len(self._files) * SHARD

    def __iter__(self) -> Iterator[CachedScene]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> CachedScene:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, within = divmod(index, SHARD)
        if number not in self._open:
            if len(self._open) >= _OPEN_SHARDS:
                del self._open[next(iter(self._open))]
            self._open[number] = self._shard(self._files[number])
        return self._open[number][within]

    def order(self, epoch: int, seed: int) -> NDArray[np.int64]:
        """Permutes all scenes such that only a few files are in use at any time.

        Args:
            epoch: Number of the pass; every pass has another order.
            seed: Of the training.
        """
        rng = np.random.default_rng([seed, epoch])
        files = rng.permutation(len(self._files))
        parts = []
        for first in range(0, len(files), _OPEN_SHARDS):
            group = files[first : first + _OPEN_SHARDS, None] * SHARD + np.arange(SHARD)
            parts.append(rng.permutation(group.ravel()))
        return np.concatenate(parts)

    def _shard(self, path: Path) -> list[CachedScene]:
        file = self._read(path)
        scores, boxes, owner = file["scores"], file["boxes"], file["owner"]
        levels = [file[key] for key in sorted(file) if key.startswith("features")]
        return [
            CachedScene(scores[index], boxes[owner == index], tuple(each[index] for each in levels))
            for index in range(SHARD)
        ]

    def _read(self, path: Path, *keys: str) -> dict[str, NDArray[Any]]:
        """Reads arrays of a file by name; all of them if no name is given."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return {key: np.asarray(file[key]) for key in keys or file.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{path} is damaged ({cause(error)}): delete it and fill the cache again"
            ) from error
