"""Score maps of outlier-exposure scenes with the boxes of their unknown objects, kept on disk.

The prompt generator sees nothing but score maps, and the detector's forward pass costs far more than
its own step: the maps are made once.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from oodseg.core.errors import DatasetError
from oodseg.core.files import atomic_path, write_json
from oodseg.core.normalization import ScoreNormalizer

SHARD = 8  # scenes a file: small enough that a few fit in memory, large enough to be few
MAIN_CHANNEL = "combined"
_IGNORE = 255
_OPEN_SHARDS = 8
_HEAD = "cache.json"


class Scene(Protocol):
    """What is read of a synthetic scene: the picture, and the index of the unknown object per pixel."""

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


class ChannelDetector(Protocol):
    """A detector that gives several scores of a picture, each with its own statistics."""

    channel_normalizers: dict[str, ScoreNormalizer]

    def score_channels(self, images: Tensor) -> dict[str, Tensor]:
        """Float `[B, 3, H, W]` in 0..1 to raw scores `[B, H, W]` by name."""
        ...


@dataclass(frozen=True)
class CachedScene:
    """One scene of a cache.

    Attributes:
        scores: Float16 `[C, H, W]`, normalised; channel 0 is the detector's shipped score.
        boxes: Float32 `[N, 4]`, `xyxy`, N may be 0.
    """

    scores: NDArray[np.float16]
    boxes: NDArray[np.float32]


def object_boxes(unknown: NDArray[np.uint8], min_side: int = 6, min_pixels: int = 30) -> NDArray[np.float32]:
    """Tightest rectangles around the visible part of each unknown object (S2M, CVPR 2024, Eq. 5).

    One box an object; the paper's release drew one around all of a picture's unknown pixels.

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
    detector: ChannelDetector,
    samplers: Sequence[Sampler],
    n: int,
    out: Path,
    seed: int = 0,
    progress: bool = False,
    made_of: Any = None,
) -> None:
    """Fills `out` with the score maps of at least `n` scenes; goes on where an interrupted call stopped.

    Scenes are made in files of eight, one size a file, the samplers taking turns. Every file depends on
    the seed and its number alone.

    Args:
        detector: Its `"combined"` channel comes first.
        samplers: One for each picture size.
        n: Scenes, rounded up to whole files.
        out: Folder; made if missing.
        seed: Of all scenes.
        progress: Show a progress bar.
        made_of: Whatever else the scenes depend on, JSON-able.

    Raises:
        DatasetError: The folder holds the score maps of another detector, seed or kind of scenes.
    """
    channels = sorted(detector.channel_normalizers, key=lambda name: (name != MAIN_CHANNEL, name))
    head = {"seed": seed, "channels": channels, "detector": _fingerprint(detector), "made_of": made_of}
    head = json.loads(json.dumps(head))  # as it will be read again: tuples become lists
    known = _read_head(out)
    if known is not None and known != head:
        raise DatasetError(
            f"{out} holds score maps of another detector or seed, or of other scenes: "
            "delete the folder or name another one"
        )
    write_json(out / _HEAD, head)
    numbers = range(-(-n // SHARD))
    for number in track(numbers, f"score maps in {out.name}", disable=not progress):
        path = out / f"{number:05d}.npz"
        if not path.is_file():
            rng = np.random.default_rng([seed, number])
            sampler = samplers[number % len(samplers)]
            _write_shard(path, detector, [sampler.sample(rng) for _ in range(SHARD)], channels)


@torch.inference_mode()
def _write_shard(path: Path, detector: ChannelDetector, scenes: list[Scene], channels: list[str]) -> None:
    scores, boxes, owner = [], [], []
    device = next((each.device for each in _tensors(detector)), torch.device("cpu"))
    for index, scene in enumerate(scenes):
        image = torch.from_numpy(np.ascontiguousarray(scene.image)).to(device)
        raw = detector.score_channels(image.permute(2, 0, 1)[None].float() / 255)
        maps = [detector.channel_normalizers[name](raw[name][0]) for name in channels]
        scores.append(torch.stack(maps).half().cpu().numpy())
        found = object_boxes(scene.unknown)
        boxes.append(found)
        owner.append(np.full(len(found), index, np.int64))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, scores=np.stack(scores), boxes=np.concatenate(boxes), owner=np.concatenate(owner))


class ScoreCache:
    """Reads what `cache_scores` wrote; scenes of the files used last stay in memory.

    Args:
        folder: Folder of the cache.

    Attributes:
        channels: Names of the score channels, the shipped one first.
        box_counts: Int64 `[len]`, boxes of every scene.

    Raises:
        DatasetError: No cache there, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        head = _read_head(folder)
        self._files = sorted(folder.glob("[0-9]*.npz"))
        if head is None or not self._files:
            raise DatasetError(f"{folder} holds no cached score maps: make them with `cache_scores` first")
        self.channels: list[str] = head["channels"]
        counts = [np.bincount(self._read(path, "owner"), minlength=SHARD) for path in self._files]
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
        """A permutation of all scenes in which only a few files are in use at any time.

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
        scores, boxes, owner = (self._read(path, key) for key in ("scores", "boxes", "owner"))
        return [CachedScene(scores[index], boxes[owner == index]) for index in range(SHARD)]

    def _read(self, path: Path, key: str) -> NDArray[Any]:
        try:
            with np.load(path, allow_pickle=False) as file:
                return np.asarray(file[key])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path} is damaged ({error}): delete it and fill the cache again") from error


def _tensors(detector: ChannelDetector) -> list[Tensor]:
    return list(detector.state_dict().values()) if isinstance(detector, torch.nn.Module) else []


def _fingerprint(detector: ChannelDetector) -> str:
    digest = hashlib.sha256()
    for tensor in _tensors(detector):
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    for name, each in sorted(detector.channel_normalizers.items()):
        digest.update(f"{name} {each.mean!r} {each.std!r}".encode())
    return digest.hexdigest()[:16]


def _read_head(folder: Path) -> dict[str, Any] | None:
    path = folder / _HEAD
    if not path.is_file():
        return None
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is damaged: delete the folder and fill the cache again") from error
    return head
