"""Prints for all verbs: facts in two columns, coloured sentences, names as a terminal can show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from oodseg.core.input_warnings import shorten

if TYPE_CHECKING:
    from rich.console import Console

    from oodseg.runs import PredictionRun


def console(*, stderr: bool = False) -> Console:
    """A console on standard output, or on standard error."""
    from rich.console import Console

    return Console(stderr=stderr)


def say(sentence: str, style: str = "", *, stderr: bool = False) -> None:
    """Prints a sentence as it is, never wrapped, brackets and all."""
    from rich.text import Text

    console(stderr=stderr).print(Text(printable(sentence), style=style), soft_wrap=True)


def print_facts(rows: Iterable[tuple[str, str]]) -> None:
    """Prints names and values in two columns."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_predictions(run: PredictionRun) -> None:
    """Prints the result of a run: counts, what was mended, what failed and why, and where the files lie."""
    for note in run.notes:
        say(f"note: {note}", "yellow", stderr=True)
    print_facts(run.facts())
    if run.promise is not None:
        say(f"promised: {run.promise}")
    say_failures(run.failures.values())
    say(f"wrote {run.coco_path} and the folders beside it; to look through: {run.page}")


def say_failures(reasons: Iterable[str], what: str = "failed") -> None:
    """Prints why inputs failed; of many that differ in nothing but names, the first ones and their number."""
    for reason in shorten(reasons, 20):
        say(f"{what}: {reason}", "red")


def printable(text: str) -> str:
    """Replaces what no terminal can show: bytes of file names that are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
