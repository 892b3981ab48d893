"""`oodseg train`: make the parts of a pipeline from data, one verb a part, and put them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oodseg.errors import ConfigError, MissingDependencyError, WeightsError

if TYPE_CHECKING:
    from pydantic import BaseModel

    RecipeT = TypeVar("RecipeT", bound=BaseModel)

train_app = typer.Typer(
    no_args_is_help=True,
    help="Train the parts of a pipeline: segmenter, detector, prompts and masks, then bundle.",
)


def _recipe_option(part: str) -> Any:
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


@train_app.command()
def segmenter(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, _recipe_option("segmenter")] = "segmenter",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the street network: seven classes and objectness, with outlier exposure."""
    with _training_libraries():
        from oodseg.training.segmenter import SegmenterRecipe, train

        settings = _recipe(recipe, SegmenterRecipe, changes)
        if print_recipe:
            return _print(settings)
        data, out = _given(data, out)
        _wrote(train(settings, data, out, resume))


@train_app.command()
def detector(
    segmenter: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train segmenter`.")],
    data: Annotated[Path, typer.Option(help="Folder of the training data.")],
    out: Annotated[Path, typer.Option(help="Folder for the detector.")],
) -> None:
    """Fit how the network's scores are combined, and their statistics on ordinary streets."""
    with _training_libraries():
        from oodseg.training.detector import fit_detector

        fit_detector(_finished(segmenter, "segmenter"), data, out)
        _wrote(out / "detector.safetensors")


@train_app.command()
def prompts(
    detector: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of `oodseg train detector`.", show_default=False),
    ] = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, _recipe_option("prompts")] = "prompts",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the prompt generator on the detector's score maps."""
    with _training_libraries():
        from oodseg.training.prompts import PromptRecipe, train

        settings = _recipe(recipe, PromptRecipe, changes)
        if print_recipe:
            return _print(settings)
        data, out = _given(data, out)
        if detector is None:
            raise ConfigError("the generator learns on a detector's scores: name that run with --detector")
        from oodseg.training.detector import load_detector

        loaded = load_detector(_finished(detector, "detector").parent)
        train(settings, data, out, loaded, resume)
        _wrote(out / "prompts.safetensors")


@train_app.command()
def masks(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, _recipe_option("masks")] = "masks",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the promptable segmenter that turns boxes into outlines."""
    with _training_libraries():
        from oodseg.training.masks import MasksRecipe, train

        settings = _recipe(recipe, MasksRecipe, changes)
        if print_recipe:
            return _print(settings)
        data, out = _given(data, out)
        _wrote(train(settings, data, out, resume))


@train_app.command()
def resynthesis(
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, _recipe_option("resynthesis")] = "resynthesis",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train the generator that makes a picture out of a label map."""
    with _training_libraries():
        from oodseg.training.resynthesis import ResynthesisRecipe, train

        settings = _recipe(recipe, ResynthesisRecipe, changes)
        if print_recipe:
            return _print(settings)
        data, out = _given(data, out)
        _wrote(train(settings, data, out, resume))


@train_app.command()
def comparator(
    generator: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of `oodseg train resynthesis`.", show_default=False),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="The segmenter under test, e.g. street or segformer:FOLDER; trained here if not given.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    out: Out = None,
    recipe: Annotated[str, _recipe_option("comparator")] = "comparator",
    resume: Resume = True,
    changes: Changes = None,
    print_recipe: PrintRecipe = False,
) -> None:
    """Train failure detectors: SynthCP's comparator, and what it is measured against."""
    with _training_libraries():
        from oodseg.specs import build_segmenter
        from oodseg.training.comparator import ComparatorRecipe, train
        from oodseg.training.resynthesis import load_generator

        settings = _recipe(recipe, ComparatorRecipe, changes)
        if print_recipe:
            return _print(settings)
        data, out = _given(data, out)
        made = None if generator is None else load_generator(_finished(generator, "resynthesis"))
        judged = None if segmenter is None else build_segmenter(segmenter)
        _wrote(train(settings, data, out, made, judged, resume))


@train_app.command()
def bundle(
    detector: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train detector`.")],
    prompts: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train prompts`.")],
    masks: Annotated[Path, typer.Option(metavar="RUN", help="Folder of `oodseg train masks`.")],
    out: Annotated[Path, typer.Option(help="Folder of the pipeline.")],
) -> None:
    """Put the trained parts together into a pipeline folder for --pipeline."""
    with _training_libraries():
        from oodseg.pipeline import S2M
        from oodseg.training.detector import load_detector

        S2M(
            detector=load_detector(_finished(detector, "detector").parent),
            prompts=_trained(_finished(prompts, "prompts"), "prompts", "faster_rcnn"),
            masks=_trained(_finished(masks, "masks"), "masks", "compact"),
            name=out.resolve().name,
        ).save_pretrained(out)
        _wrote(out)


@contextmanager
def _training_libraries() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"lightning", "pydantic"}:
            raise
        raise MissingDependencyError(
            f"training needs the library {error.name}: pip install 'oodseg[train]'"
        ) from error


def _recipe(name: str, model: type[RecipeT], changes: list[str] | None) -> RecipeT:
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


def _print(recipe: BaseModel) -> None:
    import yaml

    typer.echo(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, default_flow_style=None), nl=False
    )


def _given(data: Path | None, out: Path | None) -> tuple[Path, Path]:
    """Both folders; only `--print-recipe` does without them."""
    if data is None or out is None:
        raise ConfigError("a training needs data and a folder to write to: name them with --data and --out")
    return data, out


def _finished(folder: Path, verb: str) -> Path:
    """The weight file of a finished run."""
    file = f"{verb}.safetensors"
    if not (folder / file).is_file():
        raise WeightsError(f"{folder} holds no {file}: name the folder of a finished `oodseg train {verb}`")
    return folder / file


def _trained(path: Path, key: str, name: str) -> Any:
    """Rebuilds a trained part from the weight file of its run; the file's header holds its settings."""
    import json

    from safetensors import SafetensorError, safe_open

    from oodseg.bundle import load_part

    try:
        with safe_open(path, "pt") as file:
            config = json.loads((file.metadata() or {})["config"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} is no whole weight file of a training: train that part again") from error
    return load_part(path.parent, {key: {"name": name, "config": config, "weights": path.name}}, key)


def _wrote(path: Path) -> None:
    typer.echo(f"wrote {path}")
