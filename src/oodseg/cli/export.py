"""`oodseg export`: a pipeline as graphs for other runtimes."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodseg.cli.loading import (
    DetectorOption,
    MasksOption,
    OperatingPointOption,
    PipelineOption,
    PromptsOption,
    load_pipeline,
)
from oodseg.cli.printing import console, say

if TYPE_CHECKING:
    from oodseg.export.onnx import ExportedGraph

HELP = """Write a pipeline as ONNX graphs that run without torch.

Detector, prompt generator, encoder and decoder of the outlines become one file each, for images of any \
size; manifest.json lists their inputs and outputs. onnx_predict.py beside them is a complete predictor of \
numpy and OpenCV that takes folders and lists and writes masks, overlays and a COCO file. Every graph is \
compared with torch before it is written.

[bold]Examples[/bold]

oodseg export --out street-onnx

python street-onnx/onnx_predict.py photos/ --out found
"""


class Format(StrEnum):
    """Names the kinds of graphs."""

    ONNX = "onnx"


class Precision(StrEnum):
    """Names what weights are stored in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the graphs.")] = Path("oodseg-onnx"),
    format: Annotated[Format, typer.Option(help="Kind of graphs.")] = Format.ONNX,
    precision: Annotated[
        Precision,
        typer.Option(
            help="float16 halves the files, and GPUs compute convolutions faster; int8 quarters them. How "
            "far masks then agree with those of float32 is measured and printed."
        ),
    ] = Precision.FLOAT32,
    pipeline: PipelineOption = "street",
    detector: DetectorOption = None,
    prompts: PromptsOption = None,
    masks: MasksOption = None,
    operating_point: OperatingPointOption = None,
) -> None:
    """Write a pipeline as graphs; `HELP` is what the user sees."""
    from oodseg.export import export_onnx

    s2m = load_pipeline(
        pipeline,
        "cpu",  # where graphs are traced, to run anywhere
        detector=detector,
        prompts=prompts,
        masks=masks,
        operating_point=operating_point,
    )
    _show(export_onnx(s2m, out, precision.value), out)


def _show(graphs: list[ExportedGraph], out: Path) -> None:
    from rich.table import Table

    table = Table("graph", box=None, pad_edge=False)
    table.add_column("MB", justify="right")
    table.add_column("difference from torch", justify="right")
    for each in graphs:
        table.add_row(each.path.name, f"{each.bytes / 1e6:.1f}", f"{each.difference:.0e}")
    console().print(table)
    agreement = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["agreement"]
    if agreement is not None:
        say(f"masks of drawn scenes agree with those of float32 by an IoU of {agreement:.3f}")
    say(f"try it: python {out / 'onnx_predict.py'} IMAGE")
