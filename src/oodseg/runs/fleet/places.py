"""Files on this machine and in object stores: reading, listing, and writing whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from oodseg.core.errors import ConfigError, MissingDependencyError, OodsegError
from oodseg.core.files import output_errors, write_bytes
from oodseg.core.installing import install_extra
from oodseg.runs.fleet.retrying import retrying

if TYPE_CHECKING:
    import pyarrow as pa


def need_parquet() -> None:
    """Checks that Parquet can be read and written.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"tables of results need the library pyarrow: install it with `{install_extra('ray')}`"
        ) from error


def local_path(location: str) -> str | None:
    """Returns the path of a location on this machine, `file://` taken off; None for one in a store (`s3://...`)."""
    protocol, separator, rest = location.partition("://")
    if not separator:
        return location
    return rest if protocol == "file" else None


def file_system(url: str) -> tuple[Any, str]:
    """Finds the file system of a URL, and the path within it.

    Raises:
        MissingDependencyError: Its library is not installed.
        ConfigError: There is no such kind of store.
    """
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        library = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}.get(protocol, str(error))
        raise MissingDependencyError(f"{protocol}:// needs the library {library}: install it") from error
    except ValueError as error:
        raise ConfigError(f"{url} is in no store that fsspec knows ({error}): check its protocol") from error
    return system, path


def read_location(location: str) -> bytes:
    """Reads a file, wherever it lies; a store that fails is asked again.

    Raises:
        OSError: It cannot be read.
    """
    path = local_path(location)
    if path is not None:
        return Path(path).read_bytes()
    system, inside = file_system(location)
    return cast(bytes, retrying(lambda: system.cat_file(inside)))


class Place:
    """A folder for results.

    Args:
        location: A folder on this machine, or a URL such as `s3://bucket/folder`.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        text = os.fspath(location)
        folder = local_path(text)
        self.folder = None if folder is None else Path(os.path.abspath(folder))
        self.location = text.rstrip("/") if folder is None else str(self.folder)

    def __str__(self) -> str:
        return self.location

    def check(self) -> None:
        """Raises `ConfigError` where a file is in the way."""
        if self.folder is not None and self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file: choose a folder for the results")

    def names(self, below: str = "") -> list[str]:
        """Lists the files and folders in a folder, sorted; none if it is missing."""
        if self.folder is not None:
            folder = self.folder / below
            return sorted(os.listdir(folder)) if folder.is_dir() else []
        system, root = self._remote(below)

        def listed() -> list[str]:
            system.invalidate_cache()
            try:
                return [str(each) for each in system.ls(root, detail=False)]
            except FileNotFoundError:
                return []

        return sorted(each.rstrip("/").rpartition("/")[2] for each in retrying(listed))

    def read(self, name: str) -> bytes:
        """Reads a file.

        Raises:
            OSError: It cannot be read.
        """
        return read_location(self._join(name))

    def open(self, name: str) -> BinaryIO:
        """Opens a file to read pieces of it."""
        if self.folder is not None:
            return (self.folder / name).open("rb")
        system, path = self._remote(name)
        return cast(BinaryIO, retrying(lambda: system.open(path, "rb")))

    def write(self, name: str, data: bytes) -> None:
        """Writes a file whole or not at all; one that is there is replaced.

        Raises:
            OodsegError: It cannot be written; the message says why.
        """
        if self.folder is not None:
            write_bytes(self.folder / name, data)
            return
        system, path = self._remote(name)
        with output_errors(self._join(name)):
            try:
                retrying(lambda: system.pipe_file(path, data))
            except OSError:
                raise
            except Exception as error:  # libraries of stores have errors of their own
                raise OodsegError(
                    f"cannot write {self._join(name)} ({error}): run the same command again"
                ) from error

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        if self.folder is not None:
            (self.folder / name).unlink(missing_ok=True)
            return
        system, path = self._remote(name)

        def removed() -> None:
            try:
                system.rm_file(path)
            except FileNotFoundError:
                return

        retrying(removed)

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Reads a Parquet file, or some of its columns.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no whole Parquet file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = str(self.folder / name) if self.folder is not None else pa.BufferReader(self.read(name))
        return pq.ParquetFile(source).read(columns)

    def _join(self, name: str) -> str:
        return f"{self.location}/{name}" if name else self.location

    def _remote(self, name: str) -> tuple[Any, str]:
        return file_system(self._join(name))
