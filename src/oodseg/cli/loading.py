"""Loads pipelines for the verbs that run one, from the options that name it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.choices import OperatingPoint
from oodseg.cli.typed import was_typed
from oodseg.core.starting import collector_paused

if TYPE_CHECKING:
    from oodseg.pipeline import S2M


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
        help="The pipeline as YAML: pipeline, detector, prompts, masks, runtime; options on the command line "
        "take precedence.",
        show_default=False,
    ),
]
OperatingPointOption = Annotated[
    OperatingPoint | None,
    typer.Option(
        help="Sensitivity: at most about 0.1 (quiet), 0.25 (balanced) or 1 (thorough) false boxes per"
        " ordinary image. Default: quiet, or the threshold of `oodseg calibrate` (calibrated).",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where networks run: cpu, cuda, the number of a GPU (0, or cuda:0) or mps; auto uses an "
        "NVIDIA or AMD GPU if there is one.",
    ),
]
ThreadsOption = Annotated[
    # Thousands of threads, which no machine has cores for, bring the process down.
    int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: all cores.", show_default=False)
]


def chosen_pipeline(ctx: typer.Context, config: Path | None) -> dict[str, Any]:
    """Returns what names the pipeline: options that were typed, then the file, then option defaults.

    Args:
        ctx: Of a verb with the options `pipeline`, `detector`, `prompts`, `masks` and `runtime`.
        config: What `--config` named.

    Raises:
        ConfigError: The file cannot be read, or has other keys.
    """
    from oodseg.core.spec import read_pipeline

    options = {key: ctx.params[key] for key in ("pipeline", "detector", "prompts", "masks")}
    options["runtime"] = str(ctx.params["runtime"])
    if config is None:
        return options
    typed = {key: value for key, value in options.items() if was_typed(ctx, key)}
    return options | read_pipeline(config) | typed


def load_pipeline(name: str, device: str, **parts: Any) -> S2M:
    """Loads a pipeline for a verb; `parts` are what `S2M.from_pretrained` takes, None for the bundled ones.

    Raises:
        ConfigError: An unknown part, or no such device.
        WeightsError: The pipeline is missing, damaged, or of another version.
    """
    from oodseg.pipeline import S2M

    chosen = {key: spec for key, spec in parts.items() if spec is not None}
    return S2M.from_pretrained(name, device, **chosen)


def set_threads(threads: int | None) -> None:
    """Sets torch's CPU threads; None leaves the choice to torch."""
    if threads is not None:
        with collector_paused():  # the first import of it
            import torch

        torch.set_num_threads(threads)
