"""How long work tells how far it is: a function that is called, and a bar that can stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]
"""Called as `progress(stage, done, total)`; `total` is None where nobody knows it."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Shows nothing: the progress of whoever asked for none."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows a bar with counts and remaining time on standard error; it goes away at the end.

    Where standard error is no terminal, nothing is shown.

    Yields:
        What to hand to work as its `progress`. A new stage starts the bar anew.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)
        shown = ""

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal shown
            if stage != shown:
                shown = stage
                bar.reset(task, description=stage, visible=True)
            bar.update(task, completed=done, total=total)

        yield show
