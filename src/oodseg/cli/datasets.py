"""`oodseg datasets`: which benchmark layouts are known, and whether a folder holds one of them whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.printing import console, say

AnomalyValueOption = Annotated[
    int | None,
    typer.Option(
        metavar="CODE",
        min=1,
        max=65535,
        help="Code of anomalies in labels of your own, e.g. 255 for labels of 0 and 255. Default: 1 or 2.",
        show_default=False,
    ),
]
datasets_app = typer.Typer(no_args_is_help=True, help="List and verify benchmark folders.")


@datasets_app.command("list")
def list_layouts() -> None:
    """Show the layouts that `evaluate` and `verify` read."""
    from rich.text import Text

    from oodseg.data import LAYOUTS

    for key, layout in LAYOUTS.items():
        line = Text(key, style="bold").append(
            f"  {layout.title}; splits: {', '.join(layout.splits)}", style="not bold"
        )
        console().print(line, soft_wrap=True)
        say(f"    {layout.shape}", "dim")


@datasets_app.command("verify")
def verify_folders(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Benchmark folders as unpacked.")],
    split: Annotated[str | None, typer.Option(help="Split of the set; see `oodseg datasets list`.")] = None,
    anomaly_value: AnomalyValueOption = None,
) -> None:
    """Read every label and report set, split, number of frames, codes, fingerprint and licence."""
    from oodseg.core.errors import OodsegError
    from oodseg.core.progress import progress_bar
    from oodseg.data import open_dataset, verify

    faults = 0
    for path in paths:
        try:
            with progress_bar() as bar:
                found = verify(open_dataset(path, split, anomaly_value), bar)
        except OodsegError as error:
            if len(paths) == 1:
                raise
            faults += 1
            say(str(path), "bold")
            say(f"  {error}", "red", stderr=True)
            continue
        say(str(path), "bold")
        for name, value in found.facts():
            say(f"  {name:<15} {value}")
    if faults:
        say(f"{faults} of {len(paths)} folders cannot be used", "red", stderr=True)
        raise typer.Exit(1)
