"""`oodseg serve`: the HTTP service and its page."""

from __future__ import annotations

from typing import Annotated

import typer

from oodseg.cli.loading import set_threads

HELP = """Serve a pipeline over HTTP, with a page for uploading images.

Every setting has an environment variable, OODSEG_ and its name in capitals, including all limits, the API \
key and the folder for videos; options given here take precedence.

[bold]Examples[/bold]

oodseg serve

oodseg serve --host 0.0.0.0 --port 80 --device cuda:1

OODSEG_API_KEY=secret oodseg serve
"""


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at; 127.0.0.1 if not given.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 8000 if not given.", show_default=False)
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Bundled pipeline, or a folder written by save_pretrained; street if not given.",
            show_default=False,
        ),
    ] = None,
    failures: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR|FILE",
            help="Failure detector, as `oodseg failures` takes it; street if not given, '' for none.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Where networks run, as `oodseg predict` takes it; auto if not given.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: all cores.", show_default=False)
    ] = None,
) -> None:
    """Serve a pipeline over HTTP; `HELP` is what the user sees."""
    from oodseg.service.server import serve as run
    from oodseg.service.settings import read_settings

    settings = read_settings(
        host=host,
        port=port,
        pipeline=pipeline,
        failures=failures,
        device=device,
        threads=threads,
    )
    set_threads(settings.threads)
    run(settings)
