"""What the verbs that run a pipeline share: loading it on the right device."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.errors import ConfigError

if TYPE_CHECKING:
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
    str | None, typer.Option(metavar="NAME", help="Replaces the pipeline's detector.", show_default=False)
]
PromptsOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Replaces its prompt generator, e.g. components.", show_default=False),
]
MasksOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Replaces its segmenter, e.g. grabcut or box.", show_default=False),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes a GPU where there is one.")]


def load_pipeline(
    name: str,
    device: Device = Device.CPU,
    *,
    detector: str | None = None,
    prompts: str | None = None,
    masks: str | None = None,
    threads: int | None = None,
) -> S2M:
    """Loads a pipeline for a verb.

    Args:
        name: Bundled name or folder.
        device: Where it runs.
        detector: Registry name in place of the pipeline's own part; likewise `prompts` and `masks`.
        prompts: See `detector`.
        masks: See `detector`.
        threads: CPU threads; None leaves the choice to torch.

    Raises:
        ConfigError: An unknown part, or no GPU.
        WeightsError: The pipeline is missing, damaged, or of another version.
    """
    import torch

    from oodseg.devices import choose_device
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
    from oodseg.bundle import find_bundle

    return hashlib.sha256((find_bundle(name) / "config.json").read_bytes()).hexdigest()
