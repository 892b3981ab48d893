"""Reports the progress of long work: the callback's type, and a progress bar that implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

ItemT = TypeVar("ItemT")

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


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows a bar with counts, speed and remaining time on standard error; it goes away at the end.

    Where standard error is no terminal, nothing is shown.

    Yields:
        The callback to pass as `progress`. A new stage restarts the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", style="progress.data.speed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
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
