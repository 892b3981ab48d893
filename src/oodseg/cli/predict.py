"""`oodseg predict`: outline the unknown objects in pictures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.loading import (
    ConfigOption,
    DetectorOption,
    Device,
    DeviceOption,
    MasksOption,
    PipelineOption,
    PromptsOption,
    load_pipeline,
    pipeline_identity,
    progress_bar,
)
from oodseg.core.errors import ImageError, OodsegError, ScoreMapError

if TYPE_CHECKING:
    from rich.console import Console

    from oodseg.core.prediction import Prediction
    from oodseg.io.outputs import Record, RunFolder
    from oodseg.pipeline import S2M

HELP = """Outline every unknown object in pictures: files, folders, quoted patterns.

There is no threshold to choose. Every picture gets a mask, a confidence map and an overlay; \
predictions.json holds all objects of the run in COCO form. Run the same command again to go on where it \
was interrupted.

[bold]Examples[/bold]

oodseg predict street.jpg

oodseg predict photos/ 'more/**/*.png' --out found

oodseg predict photos/ --masks grabcut --confidence-format npy

oodseg predict photos/ --detector segformer:my_model+energy --masks sam:facebook/sam-vit-base

Anomaly scores of your own model: oodseg predict photos/ --score-map my_scores/
"""


class ConfidenceFormat(StrEnum):
    """How confidence maps are saved."""

    PNG = "png"
    NPY = "npy"


@dataclass
class RunSummary:
    """What came of a run.

    Attributes:
        pictures: Pictures asked for.
        done_before: Of those, how many an earlier run had done already.
        with_objects: Pictures in which something was found, earlier ones included.
        objects: Objects found in all of them.
        milliseconds: Time of every picture done by this run, reading to outlines.
        failures: Why a picture gave no prediction.
        warnings: What was mended on the way.
        coco_path: The COCO file.
    """

    pictures: int
    coco_path: Path
    done_before: int = 0
    with_objects: int = 0
    objects: int = 0
    milliseconds: list[float] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, record: Record, *, before: bool) -> None:
        """Counts a finished picture."""
        self.done_before += before
        self.with_objects += bool(record.annotations)
        self.objects += len(record.annotations)
        self.warnings += record.warnings
        if not before:
            self.milliseconds.append(record.milliseconds)


def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Pictures, folders or patterns.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path(
        "oodseg-results"
    ),
    pipeline: PipelineOption = "street",
    detector: DetectorOption = None,
    prompts: PromptsOption = None,
    masks: MasksOption = None,
    config: ConfigOption = None,
    score_map: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Anomaly scores computed elsewhere, in place of the detector: .npy, .npz, 16-bit .png or "
            ".hdf5 files named like the pictures; higher = more anomalous, any range.",
            show_default=False,
        ),
    ] = None,
    ignore_mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Picture that is white where nothing is to be found, such as the bonnet of the camera's own "
            "car, and black elsewhere.",
            show_default=False,
        ),
    ] = None,
    confidence_format: Annotated[
        ConfidenceFormat, typer.Option(help="16-bit PNG (0..65535 = 0..1) or float32 .npy.")
    ] = ConfidenceFormat.PNG,
    overlay: Annotated[bool, typer.Option(help="Draw overlays.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo pictures that are done.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; all cores if not given.", show_default=False)
    ] = None,
    device: DeviceOption = Device.CPU,
) -> None:
    """Outline every unknown object in pictures; `HELP` is what the user sees."""
    from rich.console import Console

    from oodseg.core.spec import read_pipeline, read_spec
    from oodseg.io.images import find_images, read_mask

    pictures = find_images(paths, exclude=out)
    typed = {"detector": detector, "prompts": prompts, "masks": masks}
    parts = {} if config is None else read_pipeline(config)
    configured = str(parts.pop("pipeline", pipeline))
    name = configured if pipeline == "street" else pipeline
    parts |= {key: read_spec(spec) for key, spec in typed.items() if spec is not None}
    settings: dict[str, Any] = {"pipeline": name, "pipeline_sha256": pipeline_identity(name)}
    settings |= {**dict.fromkeys(typed), **parts}
    s2m = load_pipeline(name, device, **parts, threads=threads)
    if ignore_mask is not None:
        s2m.ignore = read_mask(ignore_mask)
        settings["ignore_sha256"] = sha256(s2m.ignore.tobytes()).hexdigest()
    if score_map is None:
        note = fit_to_pictures(s2m, pictures)
        if note is not None and s2m.detector is not None:
            Console(stderr=True).print(f"note: {note}", style="yellow", soft_wrap=True, highlight=False)
            settings["fitted"] = [s2m.detector.normalizer.mean, s2m.detector.normalizer.std]
    summary = run_predict(
        s2m,
        pictures,
        out,
        settings=settings,
        score_maps=score_map,
        confidence_format=confidence_format,
        overlays=overlay,
        fresh=overwrite,
        progress_console=Console(stderr=True),
    )
    show_summary(summary, Console())
    if summary.failures:
        raise typer.Exit(1)


def fit_to_pictures(s2m: S2M, pictures: Sequence[Path], most: int = 50) -> str | None:
    """Fits a detector that was never fitted, on a sample of the very pictures that are due.

    Unknown objects cover few of their pixels, so that they stand in for in-distribution pictures, as score
    maps from elsewhere do.

    Args:
        s2m: The pipeline; its detector is fitted in place.
        pictures: Those that are due.
        most: How many of them are enough.

    Returns:
        What was done and what would be better, in one sentence; None where there was nothing to do.

    Raises:
        OodsegError: The detector cannot be fitted on them.
    """
    from oodseg.cli.fit import Pictures, spread
    from oodseg.detectors import ScoreNormalizer

    detector: Any = s2m.detector
    if not hasattr(detector, "fit") or detector.normalizer != ScoreNormalizer():
        return None
    sample = Pictures(spread(pictures, most), s2m)
    try:
        detector.fit(sample)
    except OodsegError:
        if len(sample.failures) < len(sample.paths):
            raise
        return None  # no picture can be read, which each of them will say when its turn comes
    return (
        f"the detector's statistics were fitted on {len(sample.paths) - len(sample.failures)} of these "
        "pictures, for want of better ones: fit them once on pictures in which nothing is unknown, with "
        "`oodseg fit`"
    )


def run_predict(
    s2m: Callable[..., Prediction],
    pictures: Sequence[Path],
    out: Path,
    *,
    settings: Mapping[str, Any],
    score_maps: Path | None = None,
    confidence_format: ConfidenceFormat = ConfidenceFormat.PNG,
    overlays: bool = True,
    fresh: bool = False,
    progress_console: Console | None = None,
) -> RunSummary:
    """Predicts pictures into a run folder; one that cannot be used is noted, and the rest goes on.

    Args:
        s2m: The pipeline, called as `s2m(image, score_map=..., score_normalizer=...)`.
        pictures: Paths, as `find_images` lists them.
        out: The run folder.
        settings: JSON-able: what names the pipeline; pictures done under other settings are done again.
        score_maps: Folder of anomaly scores to be used in place of the detector.
        confidence_format: How confidence maps are saved.
        overlays: Whether overlays are drawn.
        fresh: Whether to redo pictures that are done.
        progress_console: Where the progress bar goes; None for none.

    Raises:
        OodsegError: Results cannot be written, or the score map folder is unusable.
        KeyboardInterrupt: With a sentence that says how to go on; what was written is whole.
    """
    from oodseg.io.outputs import RunFolder

    scores = _ScoreFolder(score_maps) if score_maps is not None else None
    folder = RunFolder(
        out,
        pictures,
        {**settings, "scores": None if scores is None else scores.identity},
        confidence_format=confidence_format.value,
        overlays=overlays,
        fresh=fresh,
    )
    summary = RunSummary(len(pictures), folder.coco_path)
    try:
        with progress_bar(progress_console) as bar:
            for picture in bar.track(pictures, description="predicting"):
                try:
                    _one(s2m, picture, folder, scores, summary)
                except (ImageError, ScoreMapError) as error:
                    folder.fail(picture, str(error))
                    summary.failures[picture] = str(error)
    except KeyboardInterrupt:
        folder.finish()
        done = summary.done_before + len(summary.milliseconds)
        raise KeyboardInterrupt(
            f"interrupted after {done} of {len(pictures)} pictures, all written whole to {out}: "
            "run the same command again to go on"
        ) from None
    except OodsegError:
        with suppress(OodsegError):
            folder.finish()
        raise
    folder.finish()
    return summary


class _ScoreFolder:
    """Score maps of a folder with the statistics that make them comparable."""

    def __init__(self, folder: Path) -> None:
        from oodseg.io.scoremaps import fit_normalizer

        self._folder = folder
        self.normalizer = fit_normalizer(folder)
        mean, std = self.normalizer.mean, self.normalizer.std
        self.identity = {"folder": str(folder.absolute()), "mean": mean, "std": std}

    def find(self, picture: Path, folder: RunFolder) -> Path:
        """The map of a picture: by its name in the run, else by its stem if no other picture has that."""
        from oodseg.io.scoremaps import find_score_map

        name = folder.names[picture]
        names = [str(name), str(name.with_name(picture.stem))]
        if Counter(each.stem for each in folder.pictures)[picture.stem] == 1:
            names.append(picture.stem)
        return find_score_map(self._folder, *names)


def _one(
    s2m: Callable[..., Prediction],
    picture: Path,
    folder: RunFolder,
    scores: _ScoreFolder | None,
    summary: RunSummary,
) -> None:
    """Predicts one picture, unless that is done."""
    from oodseg.io.images import read_image

    score_path = None if scores is None else scores.find(picture, folder)
    fingerprint = folder.fingerprint(picture, *([] if score_path is None else [score_path]))
    record = folder.done(picture, fingerprint)
    if record is not None:
        summary.add(record, before=True)
        return
    started = time.perf_counter()
    image = read_image(picture)
    read = (time.perf_counter() - started) * 1e3
    if scores is None:
        found = s2m(image)
    else:
        found = s2m(image, score_map=score_path, score_normalizer=scores.normalizer)
    total = found.timings.get("total", 0.0) + read
    found = replace(found, path=picture, timings={**found.timings, "read": read, "total": total})
    summary.add(folder.write(picture, fingerprint, image, found), before=False)


def show_summary(summary: RunSummary, console: Console) -> None:
    """Prints what came of a run: a table, what was mended, what failed and why, and where the files lie."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    failed = len(summary.failures)
    rows = [("pictures", str(summary.pictures)), ("with unknown objects", str(summary.with_objects))]
    rows += [("unknown objects", str(summary.objects))]
    if summary.milliseconds:
        rows.append(("median seconds a picture", f"{median(summary.milliseconds) / 1e3:.2f}"))
    if summary.done_before:
        rows.append(("done before", str(summary.done_before)))
    if failed:
        rows.append(("failed", str(failed)))
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    for warning in summary.warnings:
        console.print(Text(f"note: {printable(warning)}", style="yellow"), soft_wrap=True)
    for reason in summary.failures.values():
        console.print(Text(f"failed: {printable(reason)}", style="red"), soft_wrap=True)
    console.print(
        Text(f"wrote {printable(str(summary.coco_path))} and the folders beside it"), soft_wrap=True
    )


def printable(text: str) -> str:
    """Replaces what no terminal can show: bytes of file names that are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
