"""The results of one pipeline on disk: Parquet files of some hundred rows, each written whole or not at all.

    <out>/rows/model_id=<16 digits>/part-<32 digits>.parquet    rows, see `oodseg.runs.fleet.schema`
    <out>/rows/model_id=<16 digits>/model.json                  the pipeline's settings

A file is named after the images in it. Whoever makes the same rows again, because nobody knows whether a
worker that died had written them, replaces the file; that is why nothing is there twice.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.version import __version__
from oodseg.runs.fleet.places import Place
from oodseg.runs.fleet.rows import IMAGE

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = "rows"
_THREADS = 8
_DIGEST = 16  # bytes
Digests = NDArray[np.bytes_]


def digest(*texts: str | None) -> bytes:
    """Shortens texts to 16 bytes."""
    return blake2b(
        "\0".join(map(str, texts)).encode("utf-8", "surrogateescape"), digest_size=_DIGEST
    ).digest()


def holds(id: str | None, error_kind: str | None) -> bool:
    """Tells whether a row holds for good: a result, or an unreadable image. Others are tried again."""
    return id is not None and error_kind in {None, IMAGE}


@dataclass(frozen=True)
class Known:
    """Holds the results of earlier runs.

    Attributes:
        done: Sorted digests of path and stamp, `S16`: images that are done.
        ids: Sorted ids (SHA-256, 32 bytes, `S32`) of images that are done.
    """

    done: Digests
    ids: Digests

    def is_done(self, path: str, stamp: str | None) -> bool:
        """Tells whether an image has a row that holds, unchanged since."""
        return stamp is not None and contains(self.done, digest(path, stamp))

    def has_bytes(self, id: str) -> bool:
        """Tells whether an image of that SHA-256 has a row that holds."""
        return contains(self.ids, bytes.fromhex(id))


def contains(values: Digests, value: bytes) -> bool:
    """Tells whether sorted values hold one."""
    wanted = np.array(value, values.dtype)
    place = int(np.searchsorted(values, wanted))
    return place < len(values) and bool(values[place] == wanted)


NOTHING = Known(np.zeros(0, "S16"), np.zeros(0, "S32"))


class Parts:
    """The rows of one pipeline.

    Args:
        place: Where the results are.
        model: Fingerprint of the pipeline.
    """

    def __init__(self, place: Place, model: str) -> None:
        self.place, self.model = place, model
        self.folder = f"{ROWS}/model_id={model[:16]}"

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Notes the pipeline's settings."""
        about = {"oodseg": __version__, "model": self.model, "settings": settings}
        self.place.write(f"{self.folder}/model.json", (json.dumps(about, indent=1) + "\n").encode())

    def names(self) -> list[str]:
        """Lists all files of rows, from the place's folder."""
        found = [name for name in self.place.names(self.folder) if name.endswith(".parquet")]
        return [f"{self.folder}/{name}" for name in found]

    def name_of(self, entries: Iterable[tuple[str, str | None]], salt: str = "") -> str:
        """Names the file that holds the rows of images, given by path and stamp."""
        texts = [salt, *(text for entry in entries for text in entry)]
        return f"{self.folder}/part-{digest(*texts).hex()}.parquet"

    def write(self, name: str, rows: pa.Table) -> None:
        """Writes a file of rows.

        Raises:
            OodsegError: It cannot be written; the message says why.
        """
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="zstd")
        self.place.write(name, buffer.getvalue())

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Reads a file of rows; None if it is missing, or damaged: then its images are not done."""
        try:
            return self.place.read_table(name, None if columns is None else list(columns))
        except (FileNotFoundError, ValueError):
            return None

    def known(self) -> Known:
        """Reads which images are done.

        Raises:
            OSError: A file cannot be read.
        """
        done: list[bytes] = []
        ids: list[bytes] = []
        for _, table in self.columns(["path", "stamp", "id", "error_kind"]):
            for path, stamp, id, kind in zip(*(column.to_pylist() for column in table.columns), strict=True):
                if holds(id, kind):
                    done.append(digest(path, stamp))
                    ids.append(bytes.fromhex(id))
        return Known(np.sort(np.array(done, "S16")), np.unique(np.array(ids, "S32")))

    def settle(self) -> tuple[int, int]:
        """Keeps one row per image: one that holds before one that does not, then the newest.

        Returns:
            Rows that are there, and how many were removed.

        Raises:
            OodsegError: A file cannot be written.
        """
        names: list[str] = []
        digests: list[bytes] = []
        ranks: list[float] = []
        files: list[int] = []
        places: list[int] = []
        for name, table in self.columns(["path", "id", "error_kind", "time"]):
            for row, (path, id, kind, time) in enumerate(
                zip(*(column.to_pylist() for column in table.columns), strict=True)
            ):
                digests.append(digest(path))
                ranks.append(time.timestamp() + 1e12 * holds(id, kind))
                files.append(len(names))
                places.append(row)
            names.append(name)
        if not digests:
            return 0, 0
        keys, ranked = np.array(digests, "S16"), np.array(ranks)
        order = np.lexsort((ranked, keys))
        last = np.append(keys[order][1:] != keys[order][:-1], True)
        losers = order[~last]
        by_file: dict[int, set[int]] = {}
        for each in losers.tolist():
            by_file.setdefault(files[each], set()).add(places[each])
        for file, gone in by_file.items():
            self._drop(names[file], gone)
        return len(keys) - len(losers), len(losers)

    def _drop(self, name: str, gone: set[int]) -> None:
        table = self.read(name)
        if table is None:
            return
        kept = [row for row in range(table.num_rows) if row not in gone]
        if kept:
            self.write(name, table.take(kept))
        else:
            self.place.remove(name)

    def columns(self, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        """Yields file names with some columns of their rows, several read at a time; no damaged ones."""
        with ThreadPoolExecutor(_THREADS) as pool:
            names = self.names()
            for start in range(0, len(names), 64):
                some = names[start : start + 64]
                for name, table in zip(
                    some, pool.map(lambda each: self.read(each, columns), some), strict=True
                ):
                    if table is not None:
                        yield name, table.select(list(columns))
