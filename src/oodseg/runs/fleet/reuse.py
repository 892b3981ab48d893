"""Finds results by an image's bytes, when it lies under another name now than when it was predicted."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.runs.fleet.parts import Parts, holds

if TYPE_CHECKING:
    import pyarrow as pa


class RowsById:
    """The rows of a pipeline by SHA-256 of the image; which file holds which is read once.

    Args:
        parts: The rows.
    """

    def __init__(self, parts: Parts) -> None:
        ids: list[bytes] = []
        places: list[tuple[int, int]] = []
        self._names: list[str] = []
        for name, table in parts.columns(["id", "error_kind"]):
            for row, (id, kind) in enumerate(
                zip(*(column.to_pylist() for column in table.columns), strict=True)
            ):
                if holds(id, kind):
                    ids.append(bytes.fromhex(id))
                    places.append((len(self._names), row))
            self._names.append(name)
        self._ids, first = np.unique(np.array(ids, "S32"), return_index=True)
        self._places = np.array(places, np.int64).reshape(-1, 2)[first]

        # Images that were moved together lie in one file.
        @lru_cache(2)
        def read(name: str) -> pa.Table | None:
            return parts.read(name)

        self._read = read

    def find(self, id: str) -> dict[str, Any] | None:
        """Finds the row of an image, by column; None if there is none."""
        wanted = np.array(bytes.fromhex(id), "S32")
        place = int(np.searchsorted(self._ids, wanted))
        if place == len(self._ids) or self._ids[place] != wanted:
            return None
        file, row = self._places[place].tolist()
        table = self._read(self._names[file])
        if table is None or row >= table.num_rows:
            return None
        found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
        return found if found["id"] == id else None
