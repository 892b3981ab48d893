"""`oodseg fit`: teach a detector what ordinary images look like, and save it as a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.compute_options import SizeOption
from oodseg.cli.loading import (
    DetectorOption,
    DeviceOption,
    PipelineOption,
    ThreadsOption,
    set_threads,
)
from oodseg.cli.printing import say, say_failures

HELP = """Fit a detector to your ordinary images, and save it as a pipeline.

Takes images without unknown objects: a few hundred frames of your own camera, from the places where it is \
used. No labels are needed. It fits the statistics of scores that have some (sml, kl_matching, \
mahalanobis, maskomaly), and for every score its range on ordinary images, which the prompt generator \
relies on. This is the step after choosing a segmenter and a score, to be repeated for another camera.

[bold]Examples[/bold]

oodseg fit drives/ --detector street+sml --out my_pipeline

oodseg fit drives/ --detector mask2former:my_checkpoint+rba --out my_pipeline --limit 300

oodseg predict photos/ --pipeline my_pipeline

Another camera for the shipped detector: oodseg fit drives/ --out my_pipeline
"""


def fit(
    paths: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Ordinary images: files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the fitted pipeline.")],
    detector: DetectorOption = None,
    pipeline: PipelineOption = "street",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many images, spread evenly.", show_default=False)
    ] = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    size: SizeOption = None,
) -> None:
    """Fit a detector to ordinary images; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import fit as run

    set_threads(threads)
    with progress_bar() as bar:
        found = run(
            paths, pipeline, out, detector=detector, limit=limit, device=device, size=size, progress=bar
        )
    say_failures(found.failures.values(), "left out")
    say(f"fitted {detector or 'the detector'} on {found.images} images; wrote the pipeline {out}")
    say(f"next: oodseg predict IMAGES --pipeline {out}")
