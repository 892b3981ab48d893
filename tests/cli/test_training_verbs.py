from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from oodseg.cli.training import Request, training
from oodseg.core.errors import ConfigError

FOLDERS = ("--data", "d", "--out", "o")
Depth = Annotated[int, typer.Option(help="How deep.")]


def run(verb, *arguments):
    app = typer.Typer()
    app.command()(verb)
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200", "TERM": "dumb"})


def test_a_verb_gets_the_shared_options_beside_its_own() -> None:
    seen = []

    @training("masks")
    def digging(request: Request, depth: Depth = 3) -> Path:
        """Dig a hole."""
        seen.append((request, depth))
        return Path("hole")

    shown = run(digging, "--help").output
    for text in (
        "Dig a hole",
        "--depth",
        "--data",
        "--out",
        "--recipe",
        "--no-resume",
        "--set",
        "--print-recipe",
    ):
        assert text in shown
    done = run(
        digging, "--depth", "7", "--data", "d", "--out", "o", "--set", "a=1", "--set", "b=2", "--no-resume"
    )
    assert done.output == "wrote hole\n"
    request, depth = seen[0]
    assert (depth, request.data, request.out, request.recipe) == (7, Path("d"), Path("o"), "masks")
    assert (request.changes, request.resume, request.print_recipe) == (["a=1", "b=2"], False, False)
    with pytest.raises(ConfigError, match="name --data and --out"):
        run(digging, "--data", "d")


def test_what_cannot_be_resumed_has_no_such_option() -> None:
    @training("detector", resumes=False)
    def fitting(request: Request) -> Path:
        return Path(str(request.resume))

    assert run(fitting, *FOLDERS).output == "wrote True\n"
    assert run(fitting, "--no-resume").exit_code == 2


@pytest.mark.parametrize(("kind", "listed"), [(None, "comparator_pancreas)"), ("masks", "(masks)")])
def test_the_recipes_that_fit_are_listed(kind, listed) -> None:
    @training("comparator_pancreas", kind=kind)
    def choosing(request: Request) -> Path:
        return Path(request.recipe)

    assert listed in run(choosing, "--help").output
    assert run(choosing, *FOLDERS).output == "wrote comparator_pancreas\n"
