"""Reads text files in the encodings that tools write: UTF-8, and UTF-16 as Windows has it."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_text(path: Path) -> str:
    """Reads a text: UTF-8 or UTF-16, with or without a byte-order mark; line ends become those of Python.

    Raises:
        OSError: It cannot be opened.
        UnicodeError: It is in another encoding (a `ValueError`).
    """
    data = path.read_bytes()
    try:
        text = data.decode(unmarked) if (unmarked := _unmarked(data)) else decoded(data)
    except UnicodeDecodeError as error:
        raise UnicodeError("it is neither in UTF-8 nor in UTF-16: save it in UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decoded(data: bytes, *, lenient: bool = False) -> str:
    """Decodes a text by its byte-order mark: UTF-16, or UTF-8 as without one.

    Args:
        data: The text.
        lenient: Whether bytes that are no UTF-8 stay what they are, as in names of files.

    Raises:
        UnicodeDecodeError: It is in another encoding, and that is not allowed.
    """
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    errors = "strict" if not lenient else "surrogateescape" if encoding == "utf-8" else "replace"
    return data[len(mark) :].decode(encoding, errors)


def _unmarked(data: bytes) -> str | None:
    """The encoding of UTF-16 without a mark, whose first character has a zero beside it."""
    if len(data) < 2 or (data[0] == 0) == (data[1] == 0):
        return None
    return "utf-16-be" if data[0] == 0 else "utf-16-le"
