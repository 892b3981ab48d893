"""Holds what the verbs under `oodseg train` share: options, recipes and closing messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oodseg.core.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from pydantic import BaseModel

    RecipeT = TypeVar("RecipeT", bound=BaseModel)


def recipe_option(part: str) -> Any:
    """The option `--recipe`, whose help lists the shipped recipes of a part."""
    folder = files("oodseg") / "training" / "recipes"
    names = sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.startswith(part))
    return typer.Option(metavar="NAME|FILE", help=f"Shipped recipe ({', '.join(names)}) or a YAML file.")


Data = Annotated[Path | None, typer.Option(help="Folder of the training data.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the run: weights, curve, checkpoints.", show_default=False),
]
Resume = Annotated[bool, typer.Option(help="Go on from the last checkpoint of that folder.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one entry of the recipe; may be given again."),
]
PrintRecipe = Annotated[bool, typer.Option("--print-recipe", help="Print the recipe as YAML and stop.")]
Generator = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Folder of `oodseg train resynthesis`.", show_default=False),
]


@contextmanager
def training_libraries() -> Iterator[None]:
    """Says in a sentence which library of the training extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"lightning", "pydantic"}:
            raise
        raise MissingDependencyError(
            f"training needs the library {error.name}: pip install 'oodseg[train]'"
        ) from error


def prepare(
    name: str,
    model: type[RecipeT],
    changes: list[str] | None,
    print_recipe: bool,
    data: Path | None,
    out: Path | None,
) -> tuple[RecipeT, Path, Path]:
    """Reads a recipe with the changes of the command line, and checks that both folders are named.

    Raises:
        ConfigError: No such recipe or entry, a value that the entry cannot have, or a folder is missing.
        typer.Exit: The recipe was to be printed, and was.
    """
    from oodseg.training.changes import change_recipe, recipe_yaml
    from oodseg.training.common import load_recipe

    recipe = change_recipe(load_recipe(name, model), changes or [])
    if print_recipe:
        typer.echo(recipe_yaml(recipe), nl=False)
        raise typer.Exit
    if data is None or out is None:
        raise ConfigError("a training needs data and a folder to write to: name them with --data and --out")
    return recipe, data, out


def wrote(path: Path) -> None:
    """Says where the result lies."""
    typer.echo(f"wrote {path}")
