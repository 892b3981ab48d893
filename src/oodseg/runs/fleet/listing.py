"""Lists the images of a source piece by piece: folders, patterns, stores, and manifests with more columns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from oodseg.core.errors import ImageError, OodsegError
from oodseg.core.files import is_hidden
from oodseg.core.input_warnings import warn_input
from oodseg.io.discovery import discover, files_below
from oodseg.io.formats import is_readable
from oodseg.runs.fleet.manifests import Manifest, is_manifest
from oodseg.runs.fleet.places import file_system, local_path
from oodseg.runs.fleet.retrying import retrying

_NAMED = 5  # suffixes of other files that a warning names
_AT_ONCE, _THREADS = 256, 16  # objects of a manifest that are looked up together


@dataclass(frozen=True)
class Entry:
    """An image that is to be predicted.

    Attributes:
        path: An absolute path, or a URL.
        stamp: By which a rerun knows it again: size and time of change, or the store's tag; None if that
            could not be found out.
        extra: Columns of the manifest.
    """

    path: str
    stamp: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Listing:
    """The images of sources, listed as they are asked for.

    Args:
        sources: Images, folders, patterns and text files with paths, on this machine or as URLs (`s3://...`,
            `gs://...`, `file://...`, whatever fsspec opens); and manifests: Parquet or CSV files with a
            column `path`.

    Attributes:
        manifests: The manifests among them.

    Raises:
        ImageError: A local path that does not exist, or no source at all.
        ConfigError: A manifest without paths, or with columns that cannot come through.
    """

    def __init__(self, sources: Sequence[str | os.PathLike[str]]) -> None:
        if not sources:
            raise ImageError("there is nothing to predict: name images, folders, patterns or manifests")
        self._sources = [os.fspath(each) for each in sources]
        self.manifests = [Manifest(each) for each in self._sources if is_manifest(each)]
        # A single folder or pattern lists nothing twice.
        self._repeats = len(self._sources) > 1 or bool(self.manifests)

    def __iter__(self) -> Iterator[Entry]:
        """Lists all images, each once, in an order that stays the same.

        Raises:
            ImageError: A folder without an image, a pattern without a match, a path that does not exist.
            OodsegError: A store that cannot be listed.
        """
        seen: set[bytes] = set()
        for source in self._sources:
            empty = True
            for entry in self._entries(source):
                empty = False
                if self._repeats:
                    key = os.fsencode(entry.path)
                    if key in seen:
                        continue
                    seen.add(key)
                yield entry
            if empty:
                raise ImageError(f"{source} holds no image: check the path")

    def _entries(self, source: str) -> Iterator[Entry]:
        manifest = next((each for each in self.manifests if each.location == source), None)
        if manifest is not None:
            return _stamped(manifest.rows())
        path = local_path(source)
        return _remote(source) if path is None else _local(path)


def _local(source: str) -> Iterator[Entry]:
    if os.path.isdir(source):
        paths: Iterable[Path] = _images_below(source)
    else:
        paths = discover(source).paths
    for each in paths:
        path = os.path.abspath(each)
        yield Entry(path, local_stamp(path))


def _images_below(source: str) -> Iterator[Path]:
    """Gives the images in a folder; says at the end how many other files lie there, without keeping names."""
    others = Counter[str]()
    for each in files_below(Path(source)):
        if is_hidden(each.name):
            continue
        if is_readable(each.suffix.lower()):
            yield each
        else:
            others[each.suffix.lower() or "no suffix"] += 1
    if others:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(_NAMED))
        more = ", ..." if len(others) > _NAMED else ""
        warn_input(f"{source}: {others.total()} files that are no images are passed over ({listed}{more})")


def local_stamp(path: str) -> str | None:
    """Returns size and time of change of a file; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:  # its reader says so
        return None
    return f"{status.st_size}-{status.st_mtime_ns}"


def _remote(source: str) -> Iterator[Entry]:
    system, root = file_system(source)

    def walked(folder: str) -> Iterator[Mapping[str, Any]]:
        # One folder at a time: a store of millions is not listed as a whole.
        listed = retrying(lambda: system.ls(folder, detail=True))
        for each in sorted(listed, key=lambda info: str(info["name"])):
            if each["type"] != "directory":
                yield each
            elif each["name"].rstrip("/") != folder.rstrip("/"):
                yield from walked(each["name"])

    try:
        if glob.has_magic(root):
            found = retrying(lambda: system.glob(root, detail=True))
            infos: Iterable[Mapping[str, Any]] = [found[name] for name in sorted(found)]
        elif retrying(lambda: system.isfile(root)):
            yield Entry(system.unstrip_protocol(root), stamp_of(retrying(lambda: system.info(root))))
            return
        else:
            infos = walked(root)
        for info in infos:
            name = str(info["name"]).rpartition("/")[2]
            if info["type"] == "file" and not is_hidden(name) and is_readable(Path(name).suffix.lower()):
                yield Entry(system.unstrip_protocol(info["name"]), stamp_of(info))
    except FileNotFoundError:
        raise ImageError(f"{source} does not exist: check the address for typing errors") from None
    except OodsegError:
        raise
    except Exception as error:  # a library of a store may raise anything
        raise OodsegError(f"{source} cannot be listed ({error}): check address and credentials") from error


def stamp_of(info: Mapping[str, Any]) -> str:
    """Returns what a store says of an object that changes with its contents."""
    keys = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime", "created")
    tag = next((info[key] for key in keys if info.get(key)), "")
    return f"{info.get('size')}-{str(tag).strip(chr(34))}"


def _stamped(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Entry]:
    """Finds out the stamps of a manifest's images, many at a time: a store takes its time for each."""
    with ThreadPoolExecutor(_THREADS) as pool:
        rest = iter(rows)
        while some := list(islice(rest, _AT_ONCE)):
            stamps = pool.map(_stamp, [path for path, _ in some])
            yield from (Entry(path, stamp, extra) for (path, extra), stamp in zip(some, stamps, strict=True))


def _stamp(location: str) -> str | None:
    path = local_path(location)
    if path is not None:
        return local_stamp(path)
    try:
        system, inside = file_system(location)
        return stamp_of(retrying(lambda: system.info(inside)))
    except Exception:  # its reader says so
        return None
