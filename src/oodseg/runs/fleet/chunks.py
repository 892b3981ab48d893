"""The list of what is still to be done, in pieces that a worker takes one at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from oodseg.core.errors import OodsegError
from oodseg.core.files import is_temporary, output_errors
from oodseg.runs.fleet.listing import Entry
from oodseg.runs.fleet.parts import ROWS, Known
from oodseg.runs.fleet.places import Place
from oodseg.runs.fleet.retrying import retrying

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIX = ".pending"
_TRIES = ".tries"


@dataclass(frozen=True)
class Pending:
    """The pending work: a Parquet file, one row group per piece.

    Attributes:
        name: Of the file, from the place's folder.
        chunks: Number of pieces.
        images: Images in them.
        total: Images of the source.
    """

    name: str
    chunks: int
    images: int
    total: int


def write_pending(
    place: Place, entries: Iterable[Entry], known: Known, extra: pa.Schema, size: int
) -> Pending:
    """Writes the images that are not done into a file, `size` in each piece.

    They are never in memory all at once. The same source gives the same pieces, those that are done aside, so
    that a piece done twice is written to one file.

    Args:
        place: Where results go.
        entries: The images.
        known: What is done.
        extra: Columns of manifests.
        size: Images in a piece.

    Raises:
        OodsegError: The list cannot be written, or what it is made from cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("path", pa.string()), ("stamp", pa.string()), *extra])
    name = f".{uuid4().hex[:12]}{_SUFFIX}"
    total = images = chunks = 0
    rows: list[dict[str, Any]] = []
    folder = place.folder
    if folder is not None:
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    with output_errors(str(place)), tempfile.TemporaryDirectory(dir=folder, prefix=".listing") as scratch:
        file = Path(scratch, name)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:

            def flush() -> None:
                nonlocal chunks
                writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=size)
                chunks += 1
                rows.clear()

            for entry in entries:
                total += 1
                if known.is_done(entry.path, entry.stamp):
                    continue
                images += 1
                rows.append({"path": entry.path, "stamp": entry.stamp, **entry.extra})
                if len(rows) == size:
                    flush()
            if rows:
                flush()
        if folder is not None:
            os.replace(file, folder / name)
        else:
            place.write(name, file.read_bytes())
    return Pending(name, chunks, images, total)


class PendingFile:
    """Reads the pieces of a list of what is to be done.

    Args:
        place: Where it lies.
        name: Its name.
    """

    def __init__(self, place: Place, name: str) -> None:
        import pyarrow.parquet as pq

        self._place, self._name = place, name
        self._file = pq.ParquetFile(place.open(name))
        self._extra = self._file.schema_arrow.names[2:]

    @property
    def extra(self) -> pa.Schema:
        """Columns of manifests."""
        import pyarrow as pa

        return pa.schema(list(self._file.schema_arrow)[2:])

    def entries(self, chunk: int) -> list[Entry]:
        """Reads the images of a piece."""
        rows = retrying(lambda: self._file.read_row_group(chunk)).to_pylist()
        return [Entry(row["path"], row["stamp"], {name: row[name] for name in self._extra}) for row in rows]


class Tries:
    """Counts how often a piece was begun, over the deaths of workers.

    Args:
        place: Where results go.
        name: Of the list.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name

    def begin(self, chunk: int) -> int:
        """Notes that a piece is begun; returns how often it was begun before."""
        try:
            before = int(self._place.read(self._file(chunk)))
        except Exception:  # mostly because there is none; a store may raise anything
            before = 0
        self._place.write(self._file(chunk), str(before + 1).encode())
        return before

    def end(self, chunk: int) -> None:
        """Notes that a piece is done."""
        with suppress(Exception):  # the list of the run is removed with it
            self._place.remove(self._file(chunk))

    def _file(self, chunk: int) -> str:
        return f"{self._name}.{chunk}{_TRIES}"


def remove_pending(place: Place) -> None:
    """Removes lists and half-written files that this run and earlier ones, maybe killed, have left."""
    found = place.names()
    if place.folder is not None:  # stores write whole files
        below = [f"{ROWS}/{name}" for name in place.names(ROWS)]
        found += [f"{folder}/{name}" for folder in below for name in place.names(folder)]
    for name in found:
        if name.endswith((_SUFFIX, _TRIES)) or is_temporary(name.rpartition("/")[2]):
            try:
                place.remove(name)
            except OSError as error:
                raise OodsegError(f"{place} cannot be tidied up ({error}): remove {name} there") from error
