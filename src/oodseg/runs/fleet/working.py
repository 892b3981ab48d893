"""The work of a worker: take a piece of the list, predict its images, write their rows into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import OodsegError
from oodseg.runs.fleet.chunks import PendingFile, Tries
from oodseg.runs.fleet.listing import Entry
from oodseg.runs.fleet.parts import Known, Parts
from oodseg.runs.fleet.places import Place, read_location
from oodseg.runs.fleet.reuse import RowsById
from oodseg.runs.fleet.rows import PIPELINE, STORE, Fetched, fetch, predicted_row, reused_row
from oodseg.runs.fleet.schema import row_schema
from oodseg.runs.flow import ahead

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

_HOPELESS = 8  # images that fail one after the other: it is not their fault
_DEATHS = 4  # of workers at one piece, each of which may have had another reason
_NAMED = 3  # errors of a piece that are told in full


@dataclass(frozen=True)
class Assignment:
    """All that a worker has to know; it is sent to other processes and machines.

    Attributes:
        location: Where the results go.
        pending: Name of the list of what is to be done.
        model: Fingerprint of the pipeline.
        load: Makes the pipeline.
        known: What earlier runs have done, to be used again for images of the same bytes.
        salt: Goes into the names of files: another one for a run that redoes what is done.
        threads: Of torch, for a worker; None to leave that to torch.
    """

    location: str
    pending: str
    model: str
    load: Callable[[], Callable[..., Prediction]]
    known: Known
    salt: str = ""
    threads: int | None = None


@dataclass
class Done:
    """Holds the outcome of a piece.

    Attributes:
        images: Images in it.
        objects: Objects found in them.
        with_objects: Images in which something was found.
        reused: Images whose bytes were known from elsewhere.
        milliseconds: Time of the pipeline, all images together.
        failed: Images with an error.
        retry: Of these, those that a rerun tries again.
        errors: Some of the errors.
        fault: What ends the run; empty if nothing does.
    """

    images: int = 0
    objects: int = 0
    with_objects: int = 0
    reused: int = 0
    milliseconds: float = 0.0
    failed: int = 0
    retry: int = 0
    errors: list[str] = field(default_factory=list)
    fault: str = ""


class Worker:
    """Holds one pipeline, and does one piece after the other.

    Args:
        assignment: What is to be done.
    """

    def __init__(self, assignment: Assignment) -> None:
        if assignment.threads is not None:
            import torch

            torch.set_num_threads(assignment.threads)
        self._parts = Parts(Place(assignment.location), assignment.model)
        self._pending = PendingFile(self._parts.place, assignment.pending)
        self._tries = Tries(self._parts.place, assignment.pending)
        self._schema = row_schema(self._pending.extra)
        self._assignment = assignment
        self._s2m: Callable[..., Prediction] | None = None
        self._by_id: RowsById | None = None

    def run(self, chunk: int) -> Done:
        """Does a piece; what ends the run is told, not raised, as errors do not travel well."""
        entries = self._pending.entries(chunk)
        name = self._parts.name_of(((each.path, each.stamp) for each in entries), self._assignment.salt)
        try:
            # A worker may have died after it wrote the file and before it said so.
            written = self._parts.read(name, ["objects", "error", "error_kind", "milliseconds"])
            if written is not None and not {STORE, PIPELINE} & set(written["error_kind"].to_pylist()):
                return summed_up(written.to_pylist())
            deaths = self._tries.begin(chunk)
            if deaths > _DEATHS:
                return Done(fault=_deadly(entries, deaths))
            rows, reused = self._rows(entries)
            done = summed_up(rows, reused)
            failed = sum(row["error_kind"] == PIPELINE for row in rows)
            if failed == len(rows) >= _HOPELESS:
                return Done(fault=f"{done.errors[0]}; and on all {failed} images of that piece")
            import pyarrow as pa

            self._parts.write(name, pa.Table.from_pylist(rows, self._schema))
            self._tries.end(chunk)
        except OodsegError as error:
            return Done(fault=str(error))
        except Exception as error:  # a library of a store may raise anything
            fault = f"rows cannot be written to {self._parts.place} ({type(error).__name__}: {error})"
            return Done(fault=f"{fault}: run the same command again")
        return done

    def _rows(self, entries: list[Entry]) -> tuple[list[dict[str, Any]], int]:
        rows: list[dict[str, Any]] = []
        reused = 0
        with closing(ahead(_fetched(entries))) as images:
            for image in images:
                known = self._known(image)
                if known is not None:
                    rows.append(reused_row(image, known))
                    reused += 1
                    continue
                if self._s2m is None:  # a run that is done never needs it
                    self._s2m = self._assignment.load()
                rows.append(predicted_row(image, self._s2m, self._assignment.model))
        return rows, reused

    def _known(self, image: Fetched) -> dict[str, Any] | None:
        """The row that these bytes have already, from under another name or another time."""
        id = image.id
        if id is None or not self._assignment.known.has_bytes(id):
            return None
        if self._by_id is None:
            self._by_id = RowsById(self._parts)
        return self._by_id.find(id)


def _deadly(entries: Sequence[Entry], deaths: int) -> str:
    return (
        f"{deaths} workers died at the images from {entries[0].path} to {entries[-1].path}: they may not fit "
        "into memory; use fewer --workers, or leave out the image that does it"
    )


def _fetched(entries: Iterable[Entry]) -> Iterator[Fetched]:
    for each in entries:
        yield fetch(each.path, each.stamp, each.extra, read_location)


def summed_up(rows: list[dict[str, Any]], reused: int = 0) -> Done:
    """Counts what the rows of a piece hold."""
    errors = [row["error"] for row in rows if row["error"] is not None]
    return Done(
        len(rows),
        sum(len(row["objects"]) for row in rows),
        sum(bool(row["objects"]) for row in rows),
        reused,
        sum((row["milliseconds"] or {}).get("total") or 0.0 for row in rows),
        len(errors),
        sum(row["error_kind"] in {STORE, PIPELINE} for row in rows),
        errors[:_NAMED],
    )
