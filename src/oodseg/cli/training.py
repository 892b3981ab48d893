"""What the verbs under `oodseg train` share: their options, recipes and last words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oodseg.core.errors import ConfigError, MissingDependencyError, WeightsError

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


def read_recipe(name: str, model: type[RecipeT], changes: list[str] | None) -> RecipeT:
    """Reads a recipe and puts the changes of the command line over it.

    Raises:
        ConfigError: No such recipe or entry, or a value that the entry cannot have.
    """
    import yaml
    from pydantic import ValidationError

    from oodseg.training.common import load_recipe

    recipe = load_recipe(name, model)
    values = recipe.model_dump()
    for change in changes or []:
        key, equals, text = change.partition("=")
        *path, last = key.strip().split(".")
        inside: Any = values
        for step in path:
            inside = inside.get(step) if isinstance(inside, dict) else None
        if not equals or not isinstance(inside, dict) or last not in inside:
            raise ConfigError(
                f"--set {change} names no entry of the recipe: write KEY=VALUE with one of "
                f"{', '.join(values)} (--print-recipe shows them all)"
            )
        try:
            inside[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {change}: the value is no valid YAML; quote it") from None
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"--set {where} cannot be used ({fault['msg']}): choose another value") from error


def print_recipe_of(recipe: BaseModel) -> None:
    """Prints a recipe as YAML."""
    import yaml

    typer.echo(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None), nl=False
    )


def both_folders(data: Path | None, out: Path | None) -> tuple[Path, Path]:
    """Both folders; only `--print-recipe` does without them."""
    if data is None or out is None:
        raise ConfigError("a training needs data and a folder to write to: name them with --data and --out")
    return data, out


def finished(folder: Path, verb: str) -> Path:
    """The weight file of a finished run."""
    file = f"{verb}.safetensors"
    if not (folder / file).is_file():
        raise WeightsError(f"{folder} holds no {file}: name the folder of a finished `oodseg train {verb}`")
    return folder / file


def wrote(path: Path) -> None:
    """Says where the result lies."""
    typer.echo(f"wrote {path}")
