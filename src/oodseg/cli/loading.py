"""What the verbs that run a pipeline share: loading it on the right device."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from oodseg.pipeline import S2M


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


PipelineOption = Annotated[
    str, typer.Option(metavar="NAME|DIR", help="Bundled pipeline, or a folder written by save_pretrained.")
]
DetectorOption = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="Replaces the pipeline's detector: FAMILY:SOURCE+SCORE, e.g. segformer:my_folder+energy, or a "
        ".yaml file.",
        show_default=False,
    ),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="Replaces its prompt generator, e.g. components, or a .yaml file.",
        show_default=False,
    ),
]
MasksOption = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="Replaces its segmenter, e.g. grabcut, box or sam:facebook/sam-vit-base, or a .yaml file.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.yaml",
        help="The pipeline as YAML: pipeline, detector, prompts, masks; options given beside it win.",
        show_default=False,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes a GPU where there is one.")]


def load_pipeline(
    name: str,
    device: Device = Device.CPU,
    *,
    detector: str | Mapping[str, Any] | None = None,
    prompts: str | Mapping[str, Any] | None = None,
    masks: str | Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> S2M:
    """Loads a pipeline for a verb.

    Args:
        name: Bundled name or folder.
        device: Where it runs.
        detector: What `oodseg.core.spec` reads, in place of the pipeline's own part; likewise `prompts` and
            `masks`.
        prompts: See `detector`.
        masks: See `detector`.
        threads: CPU threads; None leaves the choice to torch.

    Raises:
        ConfigError: An unknown part, or no GPU.
        WeightsError: The pipeline is missing, damaged, or of another version.
    """
    import torch

    from oodseg.core.devices import choose_device
    from oodseg.pipeline import S2M

    if threads is not None:
        torch.set_num_threads(threads)
    if device is Device.CUDA and not torch.cuda.is_available():
        raise ConfigError("torch finds no CUDA device here: use --device cpu or --device auto")
    return S2M.from_pretrained(
        name, choose_device(device.value), detector=detector, prompts=prompts, masks=masks
    )


def pipeline_identity(name: str) -> str:
    """SHA-256 of a pipeline's configuration, which names the checksums of its weights.

    Raises:
        WeightsError: There is no such pipeline.
    """
    from oodseg.core.bundle import find_bundle

    return hashlib.sha256((find_bundle(name) / "config.json").read_bytes()).hexdigest()


def progress_bar(console: Console | None) -> Any:
    """A bar with counts and remaining time, on a terminal only; it goes when done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(
        *columns, console=console, disable=console is None or not console.is_terminal, transient=True
    )
