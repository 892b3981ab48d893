"""Reads lists of images: text files, or standard input, with one path per line."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path

from oodseg.core.errors import ImageError

SUFFIXES = frozenset({".txt", ".lst", ".list"})
STANDARD_INPUT = "-"


def may_be_list(argument: str) -> bool:
    """Tells whether an argument is `-` or a text file."""
    if argument == STANDARD_INPUT:
        return True
    return Path(argument).suffix.lower() in SUFFIXES and os.path.isfile(argument)


def read_list(argument: str) -> list[str]:
    """Reads a list: paths, folders and patterns, one per line, or between null characters (`find -print0`).

    Blank lines and those that begin with `#` are left out. A relative path is looked for in the working
    folder, then beside the list.

    Args:
        argument: A text file, or `-` for standard input.

    Raises:
        ImageError: Nothing is listed, or the first entry does not exist.
    """
    name, text = argument, ""
    if argument == STANDARD_INPUT:
        name, text = "standard input", sys.stdin.read()
    else:
        text = Path(argument).read_text(encoding="utf-8", errors="surrogateescape")
    lines = text.split("\0") if "\0" in text else text.splitlines()
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise ImageError(f"{name} lists no image: write one path per line")
    folder = Path() if argument == STANDARD_INPUT else Path(argument).parent
    found = [_located(entry, folder) for entry in entries]
    if not (os.path.lexists(found[0]) or glob.has_magic(found[0])):
        raise ImageError(
            f"{name} begins with {entries[0]}, which does not exist: list paths of images, one per line"
        )
    return found


def _located(entry: str, folder: Path) -> str:
    beside = os.path.join(folder, entry)
    return beside if _exists(beside) and not _exists(entry) else entry


def _exists(entry: str) -> bool:
    return os.path.lexists(entry) or (glob.has_magic(entry) and bool(glob.glob(entry, recursive=True)))
