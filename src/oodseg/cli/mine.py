"""`oodseg mine`: the rarest objects of a collection, to pick from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.choices import Precision
from oodseg.cli.compute_options import PrecisionOption
from oodseg.cli.loading import DeviceOption
from oodseg.cli.printing import print_facts, say, say_failures

if TYPE_CHECKING:
    from oodseg.mining import MiningRun

HELP = """Find the rarest objects among all that `oodseg predict` found.

Objects are compared by the features of an encoder under their masks. Near-duplicates are left out, the \
rest is clustered and ranked by rarity and confidence. index.html is a gallery with filters, in which k \
keeps and r rejects; `oodseg export-labels --picks` writes the kept objects for a labelling tool. An \
interrupted run resumes with the same command.

[bold]Examples[/bold]

oodseg mine oodseg-results

oodseg mine oodseg-results --like sofa.jpg --like crate.jpg

oodseg export-labels oodseg-results --picks picks.json --format cvat --out rare
"""


def mine(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `oodseg predict` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for crops and gallery. Default: oodseg-results/mined.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Encoder whose features are compared: name or folder of a pipeline, or timm:MODEL.",
        ),
    ] = "street",
    like: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="IMAGE",
            help="Image filled by the object to search for; the most similar objects come first. May "
            "be repeated.",
            show_default=False,
        ),
    ] = None,
    duplicates: Annotated[
        float, typer.Option(help="Cosine similarity from which two objects count as one; 2 keeps all.")
    ] = 0.9,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo finished objects.")] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
) -> None:
    """Find the rarest objects of a collection; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.mining import mine as run

    with progress_bar() as bar:
        found = run(
            results,
            out,
            encoder=encoder,
            like=like or (),
            duplicates=duplicates,
            device=device,
            precision=precision.value,
            fresh=overwrite,
            progress=bar,
        )
    show(found)
    if found.failures:
        raise typer.Exit(1)


def show(run: MiningRun) -> None:
    """Prints the result of a run: counts, the first objects, what failed and why, and where to look."""
    for note in run.notes:
        say(f"note: {note}", "yellow", stderr=True)
    print_facts(run.facts())
    for each in run.objects[:5]:
        worth = (
            f"rarity {each.rarity:.2f}" if each.similarity is None else f"similarity {each.similarity:.2f}"
        )
        say(f"  {each.image} #{each.number}: {worth}, confidence {each.confidence:.2f}")
    say_failures(dict.fromkeys(run.failures.values()))
    say(f"wrote {run.page}")
