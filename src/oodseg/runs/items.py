"""Defines the inputs of a run: images from files or from memory, each under a unique key."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.core.fingerprint import file_identity, hash_bytes
from oodseg.io.discovery import find_images
from oodseg.io.images import Channels, as_image, read_image
from oodseg.io.volume_formats import is_foreign_volume, is_volume
from oodseg.runs.naming import output_names


@dataclass(frozen=True)
class Item:
    """One input of a run.

    Attributes:
        key: Base name of its files: a relative path with `/` and without a suffix, unique in the run.
        name: Its name in lists: for a file, its path below the folder common to all, suffix included.
        read: Gives the image, uint8 `[H, W, 3]` RGB; raises `ImageError`.
        identity: JSON-able: what the image is made from; another one means another image.
        path: The file it comes from; None for an image in memory, or a part of a file.
        origin: Absolute path of that file, or of the one that it is a part of; None for an image in memory.
        labels: Gives a segmentation of it to judge, uint8 `[H, W]`; None where there is none.
    """

    key: str
    name: str
    read: Callable[[], NDArray[np.uint8]]
    identity: Callable[[], list[Any]]
    path: Path | None = None
    origin: str | None = None
    labels: Callable[[], NDArray[np.uint8]] | None = None


@dataclass(frozen=True)
class Source:
    """The inputs of a run.

    Attributes:
        items: A sequence where all of them are known beforehand, else an iterator.
        total: How many there are; None if unknown.
    """

    items: Iterable[Item]
    total: int | None = None


def open_source(source: Any, channels: Channels = "rgb") -> Source:
    """Takes whatever images may come as.

    Args:
        source: A file, a folder or a glob pattern; an iterable of these; an image in memory
            (`PIL.Image.Image`, or uint8 `[H, W, 3]`); or an iterable of such images, each by
            itself or as a pair of a name and the image. An iterator of images is read as the run goes on,
            never as a whole. What is passed over beside files is said in an `InputWarning`.
        channels: Order of the channels of arrays: `"bgr"` for images of OpenCV.

    Raises:
        ImageError: A path that does not exist, a folder without an image, a pattern without a match.
        ConfigError: Files on several drives, files beside images in memory, a volume, or no source at all.
    """
    if isinstance(source, str | os.PathLike):
        return _files(find_images(source))
    if _is_image(source):
        source = [source]
    try:
        iterator = iter(source)
    except TypeError:
        raise ConfigError(
            f"a {type(source).__name__} holds no images: pass a file, a folder, a pattern, or images"
        ) from None
    first = list(_take_one(iterator))
    if first and isinstance(first[0], str | os.PathLike):
        paths = [*first, *iterator]
        if not all(isinstance(path, str | os.PathLike) for path in paths):
            raise ConfigError("files and images in memory do not go together: run once for each of them")
        return _files(find_images(paths))
    images = _in_memory(chain(first, iterator), channels)
    if isinstance(source, Sequence):
        return Source(list(images), len(source))
    return Source(images)


def file_items(paths: Sequence[Path]) -> list[Item]:
    """Items for image files.

    Args:
        paths: Each once, in the order of the run.

    Raises:
        ConfigError: The files lie on several drives, or one is a volume.
    """
    volume = next((path for path in paths if is_volume(path) or is_foreign_volume(path)), None)
    if volume is not None:
        raise ConfigError(f"{volume} is a volume: its labels are judged with `oodseg volumes`")
    root, keys = output_names(paths)
    return [
        Item(
            keys[path].as_posix(),
            Path(os.path.abspath(path)).relative_to(root).as_posix(),
            lambda path=path: read_image(path),  # type: ignore[misc]
            lambda path=path: [file_identity(path)],  # type: ignore[misc]
            path,
            os.path.abspath(path),
        )
        for path in paths
    ]


def _files(paths: Sequence[Path]) -> Source:
    return Source(file_items(paths), len(paths))


def _take_one(iterator: Iterator[Any]) -> Iterator[Any]:
    for each in iterator:
        yield each
        return


def _is_image(source: Any) -> bool:
    from PIL import Image

    return isinstance(source, Image.Image) or (isinstance(source, np.ndarray) and source.ndim < 4)


def _in_memory(images: Iterable[Any], channels: Channels) -> Iterator[Item]:
    seen: set[str] = set()
    for number, each in enumerate(images):
        named = isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)
        key, image = each if named else (f"{number:06d}", each)
        if not _is_key(key):
            raise ConfigError(f"'{key}' cannot name an image: use letters, digits and single slashes")
        if key.casefold() in seen:
            raise ConfigError(f"two images are called '{key}': give every image a name of its own")
        seen.add(key.casefold())
        yield _memory_item(key, image, channels)


def _is_key(key: str) -> bool:
    path = PurePosixPath(key)
    return bool(path.parts) and str(path) == key and not path.is_absolute() and ".." not in path.parts


def _memory_item(key: str, image: Any, channels: Channels) -> Item:
    def read() -> NDArray[np.uint8]:
        return as_image(image, f"the image {key}", channels)

    def identity() -> list[Any]:
        pixels = read()
        return [key, list(pixels.shape), hash_bytes(pixels.tobytes())]

    return Item(key, key, read, identity)
