"""Reads lists of images: text files, or standard input, with one path per line."""

from __future__ import annotations

import codecs
import glob
import io
import os
import sys
from pathlib import Path

from oodseg.core.errors import ImageError

SUFFIXES = frozenset({".txt", ".lst", ".list"})
STANDARD_INPUT = "-"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def may_be_list(argument: str) -> bool:
    """Tells whether an argument is `-` or a text file."""
    if argument == STANDARD_INPUT:
        return True
    return Path(argument).suffix.lower() in SUFFIXES and os.path.isfile(argument)


def read_list(argument: str) -> list[str]:
    """Reads a list: paths, folders and patterns, one per line, or between null characters (`find -print0`).

    Blank lines and those that begin with `#` are left out, quotes around a path that is there without them
    too. A relative path is looked for in the working folder, then beside the list. The text is UTF-8, or
    UTF-16 with a byte-order mark, as Windows writes it.

    Args:
        argument: A text file, or `-` for standard input.

    Raises:
        ImageError: Nothing is listed, or the first entry does not exist.
    """
    name, text = argument, ""
    if argument == STANDARD_INPUT:
        name, text = "standard input", _from_standard_input()
    else:
        try:
            text = _decoded(Path(argument).read_bytes())
        except OSError as error:
            raise ImageError(
                f"{argument} cannot be opened ({error.strerror or error}): check its permissions"
            ) from error
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


def _from_standard_input() -> str:
    if not isinstance(sys.stdin, io.TextIOWrapper):
        return sys.stdin.read()
    return _decoded(sys.stdin.buffer.read())  # its own text fails on names that are no UTF-8


def _decoded(data: bytes) -> str:
    """The text of a list; bytes that are no UTF-8 stay what they are, as in names of files."""
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    return data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")


def _located(entry: str, folder: Path) -> str:
    quoted = len(entry) > 1 and entry[0] == entry[-1] and entry[0] in "\"'"
    for each in (entry, entry[1:-1]) if quoted else (entry,):
        beside = os.path.join(folder, each)
        if _exists(each) or _exists(beside):
            return each if _exists(each) else beside
    return entry


def _exists(entry: str) -> bool:
    return os.path.lexists(entry) or (glob.has_magic(entry) and bool(glob.glob(entry, recursive=True)))
