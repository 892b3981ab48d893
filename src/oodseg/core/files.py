"""Writes files whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oodseg.core.errors import OodsegError

_LONGEST_NAME = 255  # bytes, on most file systems
_SYSTEM_NAMES = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"}
LFS_MARK = b"version https://git-lfs"
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.[0-9]+\.part")


def is_system_file(name: str) -> bool:
    """Tells whether operating systems leave files or folders of that name among a user's own.

    Among them are the `._NAME` that macOS puts beside every `NAME` on foreign disks: they have the suffix of
    an image and hold none.
    """
    return name.startswith("._") or name.casefold() in _SYSTEM_NAMES


def is_temporary(name: str) -> bool:
    """Tells whether a file is what `atomic_path` writes to; where nobody writes, a killed process left it."""
    return _TEMPORARY.fullmatch(name) is not None


def is_lfs_pointer(path: Path) -> bool:
    """Tells whether a file only stands for one in Git LFS that was never fetched."""
    with path.open("rb") as file:
        return file.read(len(LFS_MARK)) == LFS_MARK


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of that name is no part of a user's data: hidden, or a system file."""
    return name.startswith(".") or is_system_file(name)


def composed(name: str) -> str:
    """Returns a name with accents in their letters; macOS keeps them apart, so one name has two spellings."""
    return unicodedata.normalize("NFC", name)


def shorten_name(name: str, room: int) -> str:
    """Cuts a file name to which something is to be added; a checksum stands for what is cut off.

    Args:
        name: A file name, as long as file systems allow.
        room: Bytes that will be added.

    Returns:
        The name itself where there is room enough.
    """
    encoded = os.fsencode(name)
    if len(encoded) + room <= _LONGEST_NAME:
        return name
    checksum = f"~{zlib.crc32(encoded):08x}"
    # Not in the middle of a character, as far as the name is UTF-8.
    kept = encoded[: _LONGEST_NAME - room - len(checksum)].decode("utf-8", "ignore")
    return f"{kept}{checksum}"


@contextmanager
def output_errors(target: str | os.PathLike[str]) -> Iterator[None]:
    """Turns a failing write below `target` into one sentence.

    Raises:
        OodsegError: Disk full, quota used up, no permission, or a file where a folder is needed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OodsegError(
                f"the disk is full: {target} could not be written; free some space and run the same command "
                "again (every file written so far is whole)"
            ) from error
        raise OodsegError(
            f"cannot write {target}: {error.strerror or error}; choose a place that can be written to"
        ) from error


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary path beside `target` that replaces it when the block succeeds.

    Whatever ends the block early (full disk, Ctrl-C, a bug) leaves an earlier `target` as it was and no
    temporary file. Missing folders are made.

    Raises:
        OodsegError: The file cannot be written; the message says why.
    """
    target = Path(target)
    # Same folder, because os.replace is only atomic within one file system; the process id keeps two runs
    # that write the same file out of each other's way. A checksum stands for the name, which may be as long
    # as the file system allows already.
    name = zlib.crc32(os.fsencode(target.name))
    temporary = target.with_name(f".{name:08x}.{os.getpid()}.part")
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_bytes(target: str | os.PathLike[str], data: bytes) -> None:
    """Writes bytes atomically, flushed to disk before the rename.

    Raises:
        OodsegError: The file cannot be written; the message says why.
    """
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(target: str | os.PathLike[str], value: Any, *, indent: int | None = None) -> None:
    """Writes JSON (UTF-8, one line unless `indent` is given) atomically.

    Raises:
        OodsegError: The file cannot be written; the message says why.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    # File names that are no UTF-8 arrive as lone surrogates; escaped like this they are JSON still.
    write_bytes(target, (text + "\n").encode("utf-8", "backslashreplace"))
