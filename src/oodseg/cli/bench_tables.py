"""Prints what `oodseg bench` measures as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodseg.cli.printing import console, say

if TYPE_CHECKING:
    from rich.table import Table


def show_times(report: Mapping[str, Any]) -> None:
    """Prints the times of one pipeline."""
    where = report["device"] if report["runtime"] == "torch" else f"{report['device']} ({report['runtime']})"
    table = _table(f"{report['pipeline']}, {report['threads']} threads on {where}: ms per image", "image")
    for each in report["results"]:
        table.add_row(_size(each), *_cells(each, "milliseconds"))
    console().print(table)
    if report["promise"] is not None:
        say(f"promised: {report['promise']}")
    machine = report["machine"]
    say(
        f"medians of {report['results'][0]['runs']} warm runs; "
        f"weights loaded in {report['load_seconds']:.2f} s, "
        f"with imports in {report['first_load_seconds']:.1f} s; "
        f"{machine['cores']} cores ({machine['processor']}), torch {machine['torch']}",
        "dim",
    )


def show_comparison(report: Mapping[str, Any]) -> None:
    """Prints the times of one pipeline on every runtime."""
    title = f"{report['pipeline']}, {report['threads']} threads: ms per image, of the fastest run"
    table = _table(title, "image", "runtime", "precision")
    for head in ("to torch", "masks differ", "load s", "first s"):
        table.add_column(head, justify="right")
    for index in range(len(report["results"][0]["sizes"])):
        for each in report["results"]:
            size = each["sizes"][index]
            table.add_row(
                _size(size),
                each["runtime"],
                each["precision"],
                *_cells(size, "least_milliseconds"),
                f"{size['ratio']:.2f}",
                f"{100 * size['difference']:.3f} %",
                f"{each['load_seconds']:.1f}",
                f"{each['first_seconds']:.1f}",
            )
        table.add_section()
    console().print(table)
    for each in report["results"]:
        if each["fallback"] is not None:
            say(f"note: {each['fallback']}", "yellow")
    machine = report["machine"]
    runs = report["results"][0]["sizes"][0]["runs"]
    say(
        f"fastest of {runs} warm runs, each row in a process of its own; masks against torch in float32; "
        f"{machine['cores']} cores ({machine['processor']}), torch {machine['torch']}",
        "dim",
    )


def _table(title: str, *heads: str) -> Table:
    from rich.table import Table

    from oodseg.runs.timing import STAGES

    table = Table(title=title)
    for head in heads:
        table.add_column(head)
    for stage in STAGES:
        table.add_column(stage, justify="right", style="bold" if stage == "total" else None)
    table.add_column("objects", justify="right")
    table.add_column("peak MiB", justify="right")
    return table


def _size(measured: Mapping[str, Any]) -> str:
    return f"{measured['width']}x{measured['height']}"


def _cells(measured: Mapping[str, Any], times: str) -> list[str]:
    from oodseg.runs.timing import STAGES

    stages = [f"{measured[times][stage]:.0f}" for stage in STAGES]
    peak = "?" if measured["peak_mib"] is None else str(measured["peak_mib"])
    return [*stages, str(measured["objects"]), peak]
