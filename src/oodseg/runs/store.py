"""Records, by key, what a run has finished, so that it can be interrupted anywhere and resumed later.

    <out>/run.json               what wrote the folder, its settings, and the names of all that it writes
    <out>/<kind>/<key><suffix>   the files of an input, one folder per kind; <key>/1<suffix>, ... if several
    <out>/records/<key>.json     what is known of it: an input with a valid record is done

An input's record is written after its other files, and every file is written whole or not at all. What a
folder holds of earlier runs stays, and is found in `records` beside what this run adds.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from oodseg.core.errors import ConfigError
from oodseg.core.files import output_errors, write_bytes, write_json
from oodseg.core.fingerprint import hash_json
from oodseg.core.run_file import RUN_FILE
from oodseg.core.version import __version__
from oodseg.runs.items import Item

RECORDS = "records"


class Record(Protocol):
    """The record of a finished input: a dataclass of JSON-able fields.

    Attributes:
        milliseconds: How long it took, reading included.
    """

    @property
    def milliseconds(self) -> float: ...  # noqa: D102


RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class Plan(Generic[RecordT]):
    """Describes the files that a run writes.

    Attributes:
        verb: Command that writes it: a folder holds what one verb wrote.
        record: Dataclass of the records.
        settings: JSON-able: whatever the results depend on; a folder holds results of one setting.
        files: Kind to suffix of the files that a finished input has, in the order they are written. A kind is
            the name of a folder in that of the run, or the path of one elsewhere, from the root.
        lists: Names of the files that sum up a run.
        fresh: Whether inputs that are done count as not done, and other results in the folder may go.
        every: Whether every input has files of every kind; else it has those that its result gives.
    """

    verb: str
    record: type[RecordT]
    settings: Mapping[str, Any]
    files: Mapping[str, str]
    lists: tuple[str, ...] = ()
    fresh: bool = False
    every: bool = True

    @property
    def results(self) -> list[str]:
        """Names of all files and folders that it writes into its folder."""
        return [*(kind for kind in self.files if not Path(kind).is_absolute()), RECORDS, *self.lists]


@dataclass(frozen=True)
class Stored(Generic[RecordT]):
    """An input that is done.

    Attributes:
        fingerprint: Of what it was made from.
        name: Its name in lists.
        origin: See `Item`.
        kinds: Kind to suffix of the files that were asked for.
        every: Whether all of them were to be there.
        files: Those that there are, as paths with `/` from the run's folder, or from the root.
        record: What is known of it.
    """

    fingerprint: str
    name: str
    origin: str | None
    kinds: Mapping[str, str]
    every: bool
    files: tuple[str, ...]
    record: RecordT


class RunStore(Generic[RecordT]):
    """Keeps the files and the record of every input under its key.

    Args:
        out: Folder to write to; made if missing.
        plan: What is written there.

    Attributes:
        stored: By key: all inputs with results in the folder, in the order of their keys, then as they came.
        failures: By key: why an input gave no result.
    """

    def __init__(self, out: str | os.PathLike[str], plan: Plan[RecordT]) -> None:
        self.out, self.plan = Path(out), plan
        self.failures: dict[str, str] = {}
        self._made: list[Path] = []
        self._is_new = False
        self.stored: dict[str, Stored[RecordT]] = {}
        folder = self.out / RECORDS
        for path in sorted(folder.rglob("[!.]*.json")):
            found = _read(path, plan.record)
            if found is not None:
                self.stored[path.relative_to(folder).as_posix().removesuffix(".json")] = found

    @property
    def settings(self) -> dict[str, Any]:
        """Whatever the results depend on."""
        return dict(self.plan.settings)

    @property
    def records(self) -> dict[str, RecordT]:
        """By key: what is known of every input that is done."""
        return {key: each.record for key, each in self.stored.items()}

    def path(self, kind: str, key: str) -> Path:
        """Returns the path of an input's file of the given kind."""
        # Not with_suffix: keys may hold dots.
        return self.out / kind / f"{key}{self.plan.files[kind]}"

    def begin(self, listed: Sequence[str] = (), *, anew: bool = False) -> None:
        """Says in `run.json` whose folder this is.

        Args:
            listed: What earlier runs have written there.
            anew: Whether all results in the folder go first.

        Raises:
            OodsegError: A file cannot be written.
        """
        for key in list(self.stored) if anew else ():
            self.remove(key)
        self._made = [each for each in (self.out, *self.out.parents) if not each.exists()]
        self._is_new = not (self.out / RUN_FILE).exists()
        results = list(dict.fromkeys([*listed, *self.plan.results]))
        about = {"oodseg": __version__, "verb": self.plan.verb, "results": results}
        write_json(self.out / RUN_FILE, {**about, "settings": self.settings}, indent=1)

    def abandon(self) -> None:
        """Removes what a run has made that was refused before it had any result; else nothing.

        Only what it writes itself goes, in a folder that no run has used before, and folders that it made.
        """
        if self.stored or not self._is_new:
            return
        for name in (*self.plan.results, RUN_FILE):
            path = self.out / name
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in self._made:
            with suppress(OSError):
                folder.rmdir()

    def fingerprint(self, identity: list[Any]) -> str:
        """Names, in one string, the version, the settings and what an input is made from (JSON-able)."""
        return hash_json([__version__, self.settings, identity])

    def done(self, item: Item, fingerprint: str) -> RecordT | None:
        """Returns the record of an input that was finished under the same fingerprint and has all its files.

        Raises:
            ConfigError: The results under its key are those of another image.
        """
        found = self.stored.get(item.key)
        if found is None or self.plan.fresh:
            return None
        if found.fingerprint == fingerprint:
            as_asked = self.plan.files.items() <= found.kinds.items() and found.every >= self.plan.every
            whole = as_asked and all(_is_whole(self.out / file) for file in found.files)
            return found.record if whole else None
        if found.origin is None or found.origin != item.origin:
            raise ConfigError(taken(self.out, found, item))
        return None  # the file has changed since

    def write(
        self, item: Item, fingerprint: str, files: Mapping[str, bytes | Sequence[bytes]], record: RecordT
    ) -> None:
        """Writes all files of an input, its record last.

        Args:
            item: The input.
            fingerprint: What `fingerprint` said before the result was made.
            files: The content of every kind of file; a list where there are several.
            record: What is known of the input.

        Raises:
            OodsegError: A file cannot be written; none is left half written.
        """
        self.remove(item.key)
        plan, written = self.plan, list[str]()
        for kind in plan.files:
            if kind in files or plan.every:
                for key, data in _named(item.key, files[kind]):
                    write_bytes(self.path(kind, key), data)
                    written.append(f"{kind}/{key}{plan.files[kind]}")
        made = Stored(
            fingerprint, item.name, item.origin, dict(plan.files), plan.every, tuple(written), record
        )
        write_json(self._record_path(item.key), {**vars(made), "record": vars(record)})
        self.stored[item.key] = made

    def fail(self, key: str, reason: str) -> None:
        """Records that an input gave no result; what an earlier run has found there is kept.

        A file that is broken now was whole then, and a disk that is not there for a while must not take the
        results of all its images along.

        Args:
            key: Of the input.
            reason: Why.
        """
        kept = " (what an earlier run has found there is kept)" if key in self.stored else ""
        self.failures[key] = f"{reason}{kept}"

    def remove(self, key: str) -> None:
        """Removes an input's record and its files, the record first: it must never lack its files.

        Raises:
            OodsegError: A file cannot be removed.
        """
        found = self.stored.pop(key, None)
        for path in (self._record_path(key), *(self.out / file for file in (found.files if found else ()))):
            with output_errors(path):
                path.unlink(missing_ok=True)

    def _record_path(self, key: str) -> Path:
        return self.out / RECORDS / f"{key}.json"


def _is_whole(path: Path) -> bool:
    """Tells whether a file is there and was not emptied since, as a machine that breaks down may do."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _named(key: str, content: bytes | Sequence[bytes]) -> list[tuple[str, bytes]]:
    """One file under the key, or several in a folder of that name, counted from 1."""
    if isinstance(content, bytes):
        return [(key, content)]
    return [(f"{key}/{number}", each) for number, each in enumerate(content, start=1)]


def taken(out: Path, found: Stored[Any], item: Item) -> str:
    """Words the error when the results of an image would replace another's."""
    of = f"another image called '{found.name}'" if found.origin is None else found.origin
    this = f"the image '{item.name}'" if item.origin is None else item.origin
    return (
        f"{out} holds results of {of}, which those of {this} would replace: choose another folder (--out), "
        "or let them go (--overwrite)"
    )


def _read(path: Path, record: type[RecordT]) -> Stored[RecordT] | None:
    """A record; None if it is broken or of another kind."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["record"], found["files"] = record(**found["record"]), tuple(found["files"])
        return Stored(**found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
