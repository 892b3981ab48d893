"""The `oodseg` command and its verbs."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from oodseg.cli.bench import HELP as BENCH_HELP
from oodseg.cli.bench import bench
from oodseg.cli.calibrate import HELP as CALIBRATE_HELP
from oodseg.cli.calibrate import calibrate
from oodseg.cli.compare import HELP as COMPARE_HELP
from oodseg.cli.compare import compare
from oodseg.cli.datasets import datasets_app
from oodseg.cli.demo import demo
from oodseg.cli.errors import Verbs
from oodseg.cli.evaluate import evaluate
from oodseg.cli.export import HELP as EXPORT_HELP
from oodseg.cli.export import export
from oodseg.cli.export_labels import HELP as EXPORT_LABELS_HELP
from oodseg.cli.export_labels import export_labels
from oodseg.cli.failures import HELP as FAILURES_HELP
from oodseg.cli.failures import failures
from oodseg.cli.fit import HELP as FIT_HELP
from oodseg.cli.fit import fit
from oodseg.cli.mine import HELP as MINE_HELP
from oodseg.cli.mine import mine
from oodseg.cli.models import models
from oodseg.cli.predict import HELP as PREDICT_HELP
from oodseg.cli.predict import predict
from oodseg.cli.serve import HELP as SERVE_HELP
from oodseg.cli.serve import serve
from oodseg.cli.train import train_app
from oodseg.cli.volumes import HELP as VOLUMES_HELP
from oodseg.cli.volumes import volumes
from oodseg.core.allocation import keep_freed_memory
from oodseg.core.version import __version__

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find every object a street-scene model was never taught, and draw its outline.",
    epilog="Start with `oodseg demo`, then `oodseg predict` your own images.",
)
app.command()(demo)
app.command(help=PREDICT_HELP)(predict)
app.command()(evaluate)
app.command(help=FAILURES_HELP)(failures)
app.command(help=VOLUMES_HELP)(volumes)
app.command(help=FIT_HELP)(fit)
app.command(help=CALIBRATE_HELP)(calibrate)
app.add_typer(datasets_app, name="datasets")
app.add_typer(train_app, name="train")
app.command()(models)
app.command(help=EXPORT_HELP)(export)
app.command(help=MINE_HELP)(mine)
app.command("export-labels", help=EXPORT_LABELS_HELP)(export_labels)
app.command(help=SERVE_HELP)(serve)
app.command(help=COMPARE_HELP)(compare)
app.command(help=BENCH_HELP)(bench)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oodseg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Takes the options that stand before the verb."""


def main() -> None:
    """Runs the command line; the `oodseg` script calls it."""
    # A console that cannot show a character must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    # Pillow's warnings about a broken image repeat what its error says.
    warnings.filterwarnings("ignore", module="PIL")
    keep_freed_memory()
    app()


if __name__ == "__main__":
    main()
