"""`oodseg models`: what runs in a pipeline, under which licence, and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oodseg.core.known_models import KnownModel

_TITLES = {"segmenters": "for --detector, with +SCORE behind", "masks": "for --masks"}


def models(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List well-known models for --detector and --masks, with the licences of weights and code."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from oodseg.core.known_models import MODELS

    if json:
        from json import dumps

        typer.echo(dumps([asdict(model) for model in MODELS.values()], indent=1))
        return
    # Names are long; a terminal may be narrow, and a pipe passes for one of 80 columns.
    console = Console(width=max(Console().width, 130))
    for room, title in _TITLES.items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in ("part", "weights", "code", "how to get it"):
            table.add_column(column, no_wrap=column == "part")
        for same in _alike(model for model in MODELS.values() if model.room == room):
            parts = "\n".join(f"{model.family}:{model.id}" for model in same)
            table.add_row(parts, same[0].weights_licence, same[0].code_licence, _way(same[0]))
        console.print(table)
        console.print()
    console.print(
        "Licences as far as we know them: the model card decides. Weights are fetched without asking only "
        "where the last column says so."
    )


def _alike(models: Iterable[KnownModel]) -> list[list[KnownModel]]:
    """Groups the models of one family and licence."""
    groups: dict[tuple[str, str, str], list[KnownModel]] = {}
    for model in models:
        groups.setdefault((model.family, model.weights_licence, _way(model)), []).append(model)
    return list(groups.values())


def _way(model: KnownModel) -> str:
    if model.permissive:
        return "fetched on first use"
    if model.note:
        return model.note
    return "hf auth login, then hf download" if model.gated else "hf download"
