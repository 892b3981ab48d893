"""The head of a cache folder: says what its files were made of, so that no other ones are mixed in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oodseg.core.errors import DatasetError
from oodseg.core.files import write_json

_NAME = "cache.json"


def read_head(folder: Path) -> dict[str, Any] | None:
    """Reads the head of a cache folder; None where there is none.

    Raises:
        DatasetError: It is damaged.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is damaged: delete the folder and fill the cache again") from error
    return head


def check_head(folder: Path, head: dict[str, Any], otherwise: str) -> None:
    """Writes the head of a new cache folder, or compares it with the one that is there.

    Args:
        folder: Made if missing.
        head: What the files are made of, JSON-able.
        otherwise: What the folder holds if its head is another one, for the message.

    Raises:
        DatasetError: The folder's files were made of something else.
    """
    head = json.loads(json.dumps(head))  # as it will be read again: tuples become lists
    known = read_head(folder)
    if known is not None and known != head:
        raise DatasetError(f"{folder} holds {otherwise}: delete the folder or name another one")
    write_json(folder / _NAME, head)
