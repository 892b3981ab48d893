"""Runs the loop of every run: skips what is done, records failures, and stops cleanly on Ctrl-C."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Generic

from oodseg.core.errors import ImageError, OodsegError, ScoreMapError
from oodseg.core.progress import Progress, silent
from oodseg.runs.items import Item, Source
from oodseg.runs.store import RecordT, RunStore


class Work(ABC, Generic[RecordT]):
    """Defines what a run does with each of its inputs.

    Args:
        store: Where results go.

    Attributes:
        stage: What the progress says.
        unit: What the inputs are called, in the plural.
        batch: Inputs that are prepared together.
    """

    stage = "working"
    unit = "images"
    batch = 1

    def __init__(self, store: RunStore[RecordT]) -> None:
        self.store = store

    def identity(self, item: Item) -> list[Any]:
        """Returns, JSON-able, all that an input's result is made from besides the settings."""
        return item.identity()

    def prepare(self, items: Sequence[Item]) -> None:
        """Does beforehand what is done quicker for several inputs at once; by default nothing.

        Args:
            items: Inputs of one batch that are not done, of which `process` is asked next.

        Raises:
            OodsegError: The run ends.
        """

    @abstractmethod
    def process(self, item: Item) -> tuple[Mapping[str, bytes | Sequence[bytes]], RecordT]:
        """Makes the files of an input, by kind, several where a kind has several, and its record.

        Raises:
            ImageError: The input cannot be used; it is noted, and the rest goes on.
            ScoreMapError: Likewise.
        """

    def keep_up(self, names: Mapping[str, str]) -> None:
        """Brings the list of results up to date while the run goes on, so that one that is killed has it.

        It is called after every input for as long as that takes no time to speak of.

        Args:
            names: As in `finish`.

        Raises:
            OodsegError: A file cannot be written.
        """

    @abstractmethod
    def finish(self, names: Mapping[str, str], complete: bool) -> None:
        """Writes what sums up the run, and earlier ones in the same folder.

        Args:
            names: Key to name of every input seen so far, in their order.
            complete: Whether that is all of them and all have results.

        Raises:
            OodsegError: A file cannot be written.
        """


@dataclass
class Tally:
    """The result of a run.

    Attributes:
        total: Inputs seen.
        done_before: Of those, how many an earlier run had done already.
        milliseconds: Time of every input done by this run, reading included.
        names: Key to name of every input, in their order.
    """

    done_before: int = 0
    milliseconds: list[float] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Inputs seen."""
        return len(self.names)


def work_through(work: Work[RecordT], source: Source, progress: Progress | None = None) -> Tally:
    """Processes all inputs not done yet; unusable ones are recorded, and the rest goes on.

    Args:
        work: What is done with each input, and where results go.
        source: The inputs.
        progress: Told after every input.

    Raises:
        OodsegError: Results cannot be written; what was written before is whole and summed up.
        KeyboardInterrupt: With a sentence that says how to resume; what was written is whole and summed up.
    """
    tally, report, pace = Tally(), progress or silent, Pace()
    try:
        for item in _prepared(work, source.items):
            tally.names[item.key] = item.name
            try:
                fingerprint = _fingerprint(work, item)
            except (ImageError, ScoreMapError) as error:
                work.store.fail(item.key, str(error))
            else:
                _try(work, item, fingerprint, tally, pace)
            report(work.stage, tally.total, source.total)
    except KeyboardInterrupt:
        work.finish(tally.names, False)
        of = "" if source.total is None else f" of {source.total}"
        raise KeyboardInterrupt(
            f"interrupted after {tally.done_before + len(tally.milliseconds)}{of} {work.unit}, all written "
            f"whole to {work.store.out}: run the same command again to go on"
        ) from None
    except OodsegError:
        with suppress(OodsegError):
            work.finish(tally.names, False)
        raise
    work.finish(tally.names, not work.store.failures)
    return tally


def _prepared(work: Work[RecordT], items: Iterable[Item]) -> Iterator[Item]:
    """Gives the inputs, those of every batch once they are prepared."""
    if work.batch == 1:
        yield from items
        return
    waiting = iter(items)
    while group := list(islice(waiting, work.batch)):
        if new := [each for each in group if _is_new(work, each)]:
            work.prepare(new)
        yield from group


def _is_new(work: Work[RecordT], item: Item) -> bool:
    try:
        return work.store.done(item, _fingerprint(work, item)) is None
    except (ImageError, ScoreMapError):
        return False  # is said when its turn comes


def _fingerprint(work: Work[RecordT], item: Item) -> str:
    return work.store.fingerprint(work.identity(item))


def _try(work: Work[RecordT], item: Item, fingerprint: str, tally: Tally, pace: Pace) -> None:
    """Processes one input, unless it is done."""
    if work.store.done(item, fingerprint) is not None:
        tally.done_before += 1
        return
    try:
        files, record = work.process(item)
    except (ImageError, ScoreMapError) as error:
        work.store.fail(item.key, str(error))
        return
    work.store.write(item, fingerprint, files, record)
    tally.milliseconds.append(record.milliseconds)
    pace.run(partial(work.keep_up, tally.names))


class Pace:
    """Does something again and again: at every call while it is quick, then in a twentieth of the time.

    Args:
        clock: Gives the time in seconds.
    """

    _QUICK = 0.05  # seconds

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next = clock, -math.inf

    def run(self, action: Callable[[], None]) -> None:
        """Does it, unless its last time was too long and is not long enough ago."""
        started = self._clock()
        if started < self._next:
            return
        action()
        ended = self._clock()
        took = ended - started
        self._next = -math.inf if took < self._QUICK else ended + 20 * took
