"""Holds what the verbs that judge a segmentation share: an option and what they print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.choices import NumberFormat
from oodseg.cli.printing import print_facts, say, say_failures
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from oodseg.runs import JudgeRun

ErrorFormatOption = Annotated[
    NumberFormat, typer.Option(help="Error maps as 16-bit PNG (0..65535 = 0..1) or float32 .npy.")
]


def conclude(run: JudgeRun) -> None:
    """Prints the result of a run: counts, the worst images, what failed and why, and where to look.

    Raises:
        typer.Exit: Something failed.
    """
    for note in run.notes:
        say(f"note: {note}", "yellow", stderr=True)
    print_facts(run.facts())
    worst = run.worst()
    if worst:
        say(f"lowest estimated mean {run.listed.measure}:", "bold")
    for each in worst:
        ends = each.record.interval
        between = f" ({run.listed.interval_word}{ends[0]:.2f} to {ends[1]:.2f})" if ends else ""
        say(f"  {each.record.mean:.2f}{between}  {each.name}")
    if run.listed.promise:
        say(f"in brackets: {run.listed.promise}")
    if run.listed.structure_promise:
        say(f"in brackets behind a structure: {run.listed.structure_promise}")
    say_failures(run.failures.values())
    say(f"wrote {run.page} and the files beside it")
    if run.failures:
        raise typer.Exit(1)


def read_codes(option: str, arguments: Sequence[str]) -> dict[int, str]:
    """Parses `NAME=CODE` to the name of every code.

    Args:
        option: What is said to be wrong.
        arguments: What was typed.

    Raises:
        ConfigError: Something else was written.
    """
    found: dict[int, str] = {}
    for argument in arguments:
        name, equals, code = argument.rpartition("=")
        if not equals or not name or not code.isdecimal() or int(code) > 255:
            raise ConfigError(f"{option} {argument}: write NAME=CODE with a code 0..255, e.g. pancreas=7")
        found[int(code)] = name
    return found
