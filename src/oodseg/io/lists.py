"""Reads lists of images: text files, or standard input, with one path per line."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from oodseg.core.errors import ImageError
from oodseg.core.texts import decoded

SUFFIXES = frozenset({".txt", ".lst", ".list"})
STANDARD_INPUT = "-"
_LINE_END = re.compile(r"\r\n|\n|\r")
# Of Windows in the west, the middle and the east of Europe, Japan, China and Korea; of macOS; of DOS.
_OLD_ENCODINGS = ("cp1252", "cp1250", "cp1251", "cp932", "gbk", "cp949", "mac_roman", "cp850")


def may_be_list(argument: str) -> bool:
    """Tells whether an argument is `-` or a text file."""
    if argument == STANDARD_INPUT:
        return True
    return Path(argument).suffix.lower() in SUFFIXES and os.path.isfile(argument)


def read_list(argument: str) -> list[str]:
    """Reads a list: paths, folders and patterns, one per line, or between null characters (`find -print0`).

    Blank lines are left out, and those that begin with `#` unless a file has that name; so are quotes around
    a path that is there without them. A relative path is looked for in the working folder, then beside the
    list. The text is UTF-8, or UTF-16 with a byte-order mark, as Windows writes it, or an older encoding of
    Windows or macOS in which a file of that name exists.

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
            text = decoded(Path(argument).read_bytes(), lenient=True)
        except OSError as error:
            raise ImageError(
                f"{argument} cannot be opened ({error.strerror or error}): check its permissions"
            ) from error
    folder = Path() if argument == STANDARD_INPUT else Path(argument).parent
    # Names may hold the other characters at which `splitlines` would break them.
    lines = text.split("\0") if "\0" in text else _LINE_END.split(text)
    lines = [line.strip() for line in lines]
    entries = [line for line in lines if line and not (line.startswith("#") and _is_comment(line, folder))]
    if not entries:
        raise ImageError(f"{name} lists no image: write one path per line")
    found = [_located(entry, folder) for entry in entries]
    if not (os.path.lexists(found[0]) or glob.has_magic(found[0])):
        remedy = "list paths of images, one per line"
        if _is_undecoded(entries[0]):
            remedy = "save the list in UTF-8, if that is another encoding"
        raise ImageError(f"{name} begins with {_shown(entries[0])}, which does not exist: {remedy}")
    return found


def _from_standard_input() -> str:
    if not isinstance(sys.stdin, io.TextIOWrapper):
        return sys.stdin.read()
    return decoded(sys.stdin.buffer.read(), lenient=True)  # its own text fails on names that are no UTF-8


def _is_comment(line: str, folder: Path) -> bool:
    return not any(os.path.lexists(os.path.join(each, line)) for each in (Path(), folder))


def _located(entry: str, folder: Path) -> str:
    quoted = len(entry) > 1 and entry[0] == entry[-1] and entry[0] in "\"'"
    spellings = [entry, entry[1:-1]] if quoted else [entry]
    spellings += [other for each in spellings if _is_undecoded(each) for other in _in_old_encodings(each)]
    # Written on Windows a path has backslashes, and macOS spells accents in its own way.
    spellings += [each.replace("\\", "/") for each in spellings]
    spellings += [unicodedata.normalize(form, each) for form in ("NFC", "NFD") for each in spellings]
    for each in dict.fromkeys(spellings):
        beside = os.path.join(folder, each)
        if _exists(each) or _exists(beside):
            return each if _exists(each) else beside
    return entry


def _is_undecoded(entry: str) -> bool:
    """Tells whether an entry holds bytes that are no UTF-8."""
    return any("\udc80" <= each <= "\udcff" for each in entry)


def _in_old_encodings(entry: str) -> Iterator[str]:
    data = entry.encode("utf-8", "surrogateescape")
    for encoding in _OLD_ENCODINGS:
        with suppress(UnicodeDecodeError):
            yield data.decode(encoding)


def _shown(entry: str) -> str:
    return entry.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _exists(entry: str) -> bool:
    return os.path.lexists(entry) or (glob.has_magic(entry) and bool(glob.glob(entry, recursive=True)))
