"""Defines the options of `oodseg predict` that no other verb has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodseg.cli.choices import ImageFormat, NumberFormat
from oodseg.cli.typed import refuse

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Images, folders or patterns; or a video: a file, rtsp://..., camera:0.",
    ),
]
ScoreMapOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR|FILE",
        help="Anomaly scores computed elsewhere, instead of the detector: .npy, .npz, .tif, 16-bit .png, "
        ".hdf5, .csv or .pt files named like the images, or one for one image; higher = more anomalous, "
        "any range.",
        show_default=False,
    ),
]
ScoreStatsOption = Annotated[
    str | None,
    typer.Option(
        metavar="MEAN,STD|DIR",
        help="Mean and standard deviation of such scores on ordinary images, or a folder of score "
        "maps of these. Default: the statistics of all maps of --score-map.",
        show_default=False,
    ),
]
IgnoreMaskOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Image painted, in any colour but black, over the area to ignore, such as the bonnet of "
        "the camera's own car.",
        show_default=False,
    ),
]
ConfidenceFormatOption = Annotated[
    NumberFormat, typer.Option(help="16-bit PNG (0..65535 = 0..1) or float32 .npy.")
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Lowest confidence of a box, instead of --operating-point; low numbers give more boxes.",
        show_default=False,
    ),
]
MinAreaOption = Annotated[int, typer.Option(min=0, help="Smallest object, in pixels.")]
MaxObjectsOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Maximum number of objects per image; the most confident are kept.", show_default=False
    ),
]
OverlayFormatOption = Annotated[ImageFormat, typer.Option(help="Format of the overlays of images.")]
SaveScoresOption = Annotated[
    NumberFormat | None,
    typer.Option(
        help="Keep the normalised score maps of images: 16-bit PNG (0..65535 = -4..16) or float32 .npy.",
        show_default=False,
    ),
]
ScoreOutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write score maps raised inside the outlines and lowered outside, .npy at the image's size, for "
        "whoever wants a threshold of their own.",
        show_default=False,
    ),
]
SaveCropsOption = Annotated[
    bool, typer.Option("--save-crops", help="Crop every object from its image, into crops/.")
]
OnlyHitsOption = Annotated[
    bool,
    typer.Option(
        "--only-hits", help="Write files only for images in which something was found; all are listed."
    ),
]

OF_IMAGES = (
    "score_map",
    "score_stats",
    "confidence_format",
    "overlay_format",
    "save_scores",
    "score_out",
    "save_crops",
    "only_hits",
    "batch",
)
"""Options of `oodseg predict` that mean nothing for a video."""


def check(ctx: typer.Context, score_map: Path | None, overlay: bool) -> None:
    """Makes sure that no option was given that others make meaningless.

    Raises:
        ConfigError: One was.
    """
    if score_map is None:
        refuse(ctx, ["score_stats"], "goes with the scores of --score-map: name their folder, too")
    else:
        refuse(ctx, ["detector"], "would not be used: --score-map takes its place")
        refuse(ctx, ["batch"], "is for the detector, whose place --score-map takes")
    if not overlay:
        refuse(ctx, ["overlay_format"], "says nothing where --no-overlay draws none")
