"""Options for videos, and what the verbs that take one do with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.evaluate_options import OF_SETS
from oodseg.cli.predict_options import OF_IMAGES
from oodseg.cli.printing import print_facts, say
from oodseg.cli.typed import refuse
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from oodseg.runs import SequenceEvaluation, VideoRun


def seconds(text: str | float) -> float:
    """Parses a time: seconds, `minutes:seconds` or `hours:minutes:seconds`."""
    total = 0.0
    try:
        for part in str(text).split(":"):
            total = 60 * total + float(part)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a time: give seconds, or minutes:seconds") from None
    return total


FpsOption = Annotated[
    float | None,
    typer.Option(
        help="Treat the images as the frames of one video with this frame rate.", show_default=False
    ),
]
EveryOption = Annotated[int, typer.Option(min=1, metavar="N", help="Use every Nth frame of a video.")]
StartOption = Annotated[
    float,
    typer.Option(parser=seconds, metavar="TIME", help="Start of a video: seconds, or 1:30."),
]
EndOption = Annotated[
    float | None,
    typer.Option(parser=seconds, metavar="TIME", help="End of a video.", show_default=False),
]


def chosen_cut(
    ctx: typer.Context, paths: list[str], fps: float | None, every: int, start: float, end: float | None
) -> dict[str, Any]:
    """Returns what `predict_video` takes of these options; empty where the paths are images.

    Raises:
        ConfigError: Options for videos and no video, or for images and a video.
    """
    from oodseg.io.video import is_video

    if fps is not None or any(is_video(path) for path in paths):
        refuse(ctx, OF_IMAGES, "goes with images, not with a video: leave it out")
        return {"fps": fps, "every": every, "start": start, "end": end}
    if (every, start, end) != (1, 0.0, None):
        raise ConfigError(
            "--every, --start and --end are for videos: say with --fps that the images are the frames of one"
        )
    return {}


def predict_video(paths: list[str], **options: Any) -> None:
    """Predicts a video and prints what was found; options as those of `oodseg.runs.predict_video`."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import predict_video as run

    with progress_bar() as bar:
        found = run(paths, progress=bar, **options)
    show(found)


def evaluate_tracks(ctx: typer.Context, folders: list[Path], out: Path, fps: float, **options: Any) -> None:
    """Measures tracks on labelled sequences and prints the figures.

    Raises:
        ConfigError: An option was given that measures images.
    """
    from oodseg.core.progress import progress_bar
    from oodseg.runs import evaluate_sequences

    refuse(ctx, OF_SETS, "measures images, not the tracks of --fps: leave one of them out")
    with progress_bar() as bar:
        found = evaluate_sequences(folders, out=out, fps=fps, progress=bar, **options)
    show(found)


def show(run: VideoRun | SequenceEvaluation) -> None:
    """Prints the result of a run: counts, notes, and where the files lie."""
    for note in run.notes:
        say(f"note: {note}", "yellow", stderr=True)
    print_facts(run.facts())
    for file in run.files:
        say(f"wrote {file}")
