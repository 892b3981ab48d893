"""Records, by key, what a run has finished, so that it can be interrupted anywhere and resumed later.

    <out>/<kind>/<key><suffix>   the files of an input, one folder per kind
    <out>/records/<key>.json     what is known of it: an input with a valid record is done

An input's record is written after its other files, and every file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from oodseg.core.errors import ConfigError
from oodseg.core.files import output_errors, write_bytes, write_json
from oodseg.core.fingerprint import hash_json
from oodseg.core.version import __version__

_RECORDS, _FINGERPRINT = "records", "fingerprint"


class Record(Protocol):
    """The record of a finished input: a dataclass of JSON-able fields.

    Attributes:
        milliseconds: How long it took, reading included.
    """

    @property
    def milliseconds(self) -> float: ...  # noqa: D102


RecordT = TypeVar("RecordT", bound=Record)


class RunStore(Generic[RecordT]):
    """Keeps the files and the record of every input under its key.

    Args:
        out: Folder to write to; made if missing.
        record: Dataclass of the records.
        settings: JSON-able: whatever the results depend on; inputs done under other settings are not done.
        files: Kind to suffix of the files that a finished input has, in the order they are written.
        stale: More pairs of kind and suffix that runs with other settings may have left.
        fresh: Whether inputs that are done count as not done.

    Attributes:
        records: By key: the inputs known to be done.
        failures: By key: why an input gave no result.

    Raises:
        ConfigError: `out` is a file.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        record: type[RecordT],
        settings: Mapping[str, Any],
        files: Mapping[str, str],
        *,
        stale: Iterable[tuple[str, str]] = (),
        fresh: bool = False,
    ) -> None:
        self.out = Path(out)
        if self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"{self.out} is a file: choose a folder for the results")
        self.settings = dict(settings)
        self.records: dict[str, RecordT] = {}
        self.failures: dict[str, str] = {}
        self._record, self._files, self._fresh = record, dict(files), fresh
        # The record first: files without one are no result, and a record must never lack its files.
        self._every = [(_RECORDS, ".json"), *dict.fromkeys([*self._files.items(), *stale])]

    def path(self, kind: str, key: str) -> Path:
        """Returns the path of an input's file of the given kind."""
        return self._path(kind, key, self._files[kind])

    def fingerprint(self, identity: list[Any]) -> str:
        """Names, in one string, the version, the settings and what an input is made from (JSON-able)."""
        return hash_json([__version__, self.settings, identity])

    def done(self, key: str, fingerprint: str) -> RecordT | None:
        """The record of an input that was finished under the same fingerprint and has all its files."""
        if self._fresh:
            return None
        try:
            found = json.loads(self._path(_RECORDS, key, ".json").read_text(encoding="utf-8"))
            same = found.pop(_FINGERPRINT) == fingerprint
            record = self._record(**found)
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return None
        if not same or not all(self.path(kind, key).is_file() for kind in self._files):
            return None
        self.records[key] = record
        return record

    def write(self, key: str, fingerprint: str, files: Mapping[str, bytes], record: RecordT) -> None:
        """Writes all files of an input, its record last.

        Args:
            key: Of the input.
            fingerprint: What `fingerprint` said before the result was made.
            files: The content of every kind of file.
            record: What is known of the input.

        Raises:
            OodsegError: A file cannot be written; none is left half written.
        """
        self._clear(key)
        for kind in self._files:
            write_bytes(self.path(kind, key), files[kind])
        write_json(self._path(_RECORDS, key, ".json"), {_FINGERPRINT: fingerprint, **vars(record)})
        self.records[key] = record

    def fail(self, key: str, reason: str) -> None:
        """Records that an input gave no result; outdated files of an earlier run are removed."""
        self._clear(key)
        self.failures[key] = reason

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        # Not with_suffix: keys may hold dots.
        return self.out / kind / f"{key}{suffix}"

    def _clear(self, key: str) -> None:
        self.records.pop(key, None)
        for kind, suffix in self._every:
            path = self._path(kind, key, suffix)
            with output_errors(path):
                path.unlink(missing_ok=True)
