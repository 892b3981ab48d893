"""Makes verbs of trainings: the options that all of them share, their progress and their closing message."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oodseg.cli import train_options as given
from oodseg.core.errors import ConfigError, MissingDependencyError
from oodseg.core.installing import install_extra
from oodseg.core.progress import Progress, progress_bar

if TYPE_CHECKING:
    from oodseg.training.engine.recipe import Recipe

    RecipeT = TypeVar("RecipeT", bound=Recipe)


@dataclass(frozen=True)
class Request:
    """Holds what the shared options of a training say; no folders if the recipe is only to be printed."""

    recipe: str
    data: Path
    out: Path
    changes: list[str] | None
    print_recipe: bool
    progress: Progress
    resume: bool = True
    entries: Mapping[str, Any] = field(default_factory=dict)

    def preferring(self, recipe: str, to: str) -> Request:
        """The same request with another recipe in place of the one that is taken if none is named."""
        return replace(self, recipe=recipe) if self.recipe == to else self

    def settings(self, model: type[RecipeT]) -> tuple[RecipeT, Path, Path]:
        """Reads the recipe with the changes of the command line, and the folders of data and run.

        Raises:
            ConfigError: No such recipe or entry, or a value that it cannot have.
            typer.Exit: The recipe was to be printed, and was.
        """
        from oodseg.training.engine.changes import change_recipe, recipe_yaml
        from oodseg.training.engine.recipe import load_recipe

        asked = given.as_changes(self.entries, set(model.model_fields))
        recipe = change_recipe(load_recipe(self.recipe, model), [*(self.changes or []), *asked])
        if self.print_recipe:
            typer.echo(recipe_yaml(recipe), nl=False)
            raise typer.Exit
        return recipe, self.data, self.out


def training(
    recipe: str, kind: str | None = None, resumes: bool = True, mines: bool = False
) -> Callable[[Callable[..., Path]], Callable[..., None]]:
    """Makes a verb of a function that takes a `Request` and its own options, and returns what it wrote.

    Args:
        recipe: The shipped recipe that is used if none is named.
        kind: What the names of the shipped recipes begin with that fit; `recipe` if not given.
        resumes: Whether the training can go on where it stopped.
        mines: Whether it learns on scenes, into which more objects can be put.
    """
    chosen = Annotated[str, given.recipe_option(kind or recipe)]
    shared: dict[str, tuple[Any, Any]] = {
        "data": (given.Data, None),
        "out": (given.Out, None),
        "recipe": (chosen, recipe),
    }
    shared |= {"resume": (given.Resume, True)} if resumes else {}
    shared |= {"changes": (given.Changes, None), "print_recipe": (given.PrintRecipe, False)}
    entries = given.entries(resumes, mines)

    def decorate(function: Callable[..., Path]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in (shared | entries).items()
        ]

        @wraps(function)
        def verb(**options: Any) -> None:
            general = {name: options.pop(name) for name in shared}
            if not general["print_recipe"] and None in (general["data"], general["out"]):
                raise ConfigError("a training needs data and a folder to write to: name --data and --out")
            general["entries"] = {name: options.pop(name) for name in entries}
            with training_libraries(), progress_bar() as bar:
                path = function(Request(progress=bar, **general), **options)
            typer.echo(f"wrote {path}")

        verb.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        return verb

    return decorate


@contextmanager
def training_libraries() -> Iterator[None]:
    """Says in a sentence which library of the training extra is missing; keeps the others quiet."""
    warnings.filterwarnings("ignore", module="lightning")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"lightning", "pydantic", "scipy"}:
            raise
        raise MissingDependencyError(
            f"training needs the library {error.name}: {install_extra('train')}"
        ) from error
