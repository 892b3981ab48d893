"""Reports the progress of long work: the callback's type, and a progress bar that implements it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

ItemT = TypeVar("ItemT")

_EVERY = 30.0  # seconds between two lines where no bar can be drawn

Progress = Callable[[str, int, int | None], None]
"""Called as `progress(stage, done, total)`; `total` is None if unknown."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Shows nothing: the default where no progress was asked for."""


def track(items: Sequence[ItemT], stage: str, progress: Progress | None) -> Iterator[ItemT]:
    """Iterates over items and reports each one that is done."""
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None:
            progress(stage, done, len(items))


class ProgressLines:
    """Reports progress as lines of text, one every so many seconds, beginning after as many.

    Args:
        write: Takes a line.
        every: Seconds between two lines.
        clock: Gives the time in seconds.
    """

    def __init__(
        self, write: Callable[[str], None], every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._every, self._clock = write, every, clock
        self._stage, self._since, self._done = "", clock(), 0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """See `Progress`."""
        now = self._clock()
        if stage != self._stage:
            # What is done already when a stage begins to be told of took no time that is known.
            self._stage, self._since, self._done = stage, now if self._stage else self._since, 0
        if now - self._since < self._every:
            return
        # Of the time since the last line: what an earlier run had done is passed in no time.
        rate = max(done - self._done, 0) / max(now - self._since, 1e-9)
        self._since, self._done = now, done
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each" if rate else "none yet"
        left = "" if total is None or not rate else f", {duration((total - done) / rate)} left"
        self._write(f"{stage}: {done}{'' if total is None else f' of {total}'} ({speed}{left})")


def duration(seconds: float) -> str:
    """Writes a time span: `0:07`, `6:20`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows a bar with counts, speed and remaining time on standard error; it goes away at the end.

    Where standard error is no terminal, but a file or the log of a job, there is a line every half minute.

    Yields:
        The callback to pass as `progress`. A new stage restarts the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(partial(console.print, soft_wrap=True, highlight=False, markup=False), _EVERY)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", style="progress.data.speed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False, speed="")
        shown = ""

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal shown
            if stage != shown:
                shown = stage
                bar.reset(task, description=stage, visible=True)
            bar.update(task, completed=done, total=total)
            speed = bar.tasks[0].speed
            bar.update(task, speed="" if speed is None else f"{speed:.1f}/s")

        yield show
