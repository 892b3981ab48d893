"""The `oodseg` command: its verbs, and how errors reach people."""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oodseg.cli.bench import HELP as BENCH_HELP
from oodseg.cli.bench import bench
from oodseg.cli.calibrate import HELP as CALIBRATE_HELP
from oodseg.cli.calibrate import calibrate
from oodseg.cli.datasets import datasets_app
from oodseg.cli.demo import demo
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
from oodseg.cli.printing import say
from oodseg.cli.train import train_app
from oodseg.cli.train_failures import comparator, resynthesis, unknown
from oodseg.cli.train_volumes import slices
from oodseg.cli.train_volumes import volumes as train_volumes
from oodseg.cli.volumes import HELP as VOLUMES_HELP
from oodseg.cli.volumes import volumes
from oodseg.core.errors import OodsegError
from oodseg.core.input_warnings import collect_warnings, shorten
from oodseg.core.version import __version__

_FAULT, _INTERRUPTED = 2, 130  # exit codes


class _Verbs(TyperGroup):
    """Turns errors a user can fix, and Ctrl-C, into a sentence and an exit code; prints warnings."""

    def invoke(self, ctx: Any) -> Any:
        with collect_warnings(forward=False) as warned:
            try:
                return self._answer(ctx)
            finally:
                for sentence in shorten(warned):
                    say(f"note: {sentence}", "yellow", stderr=True)

    def _answer(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OodsegError as error:
            say(str(error), "red", stderr=True)
            raise typer.Exit(_FAULT) from error
        except KeyboardInterrupt as error:
            say(str(error) or "interrupted: every file written so far is whole", "red", stderr=True)
            raise typer.Exit(_INTERRUPTED) from error
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            say("the disk is full: free some space and run the same command again", "red", stderr=True)
            raise typer.Exit(_FAULT) from error


app = typer.Typer(
    cls=_Verbs,
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
for each in (resynthesis, comparator, unknown, slices):
    train_app.command()(each)
train_app.command("volumes")(train_volumes)
app.add_typer(train_app, name="train")
app.command()(models)
app.command(help=EXPORT_HELP)(export)
app.command(help=MINE_HELP)(mine)
app.command("export-labels", help=EXPORT_LABELS_HELP)(export_labels)
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
    app()


if __name__ == "__main__":
    main()
