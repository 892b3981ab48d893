"""`oodseg failures`: where a segmentation is likely wrong, and which pictures to look at first."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.loading import Device, DeviceOption, progress_bar
from oodseg.cli.predict import ConfidenceFormat, printable
from oodseg.core.errors import ConfigError, ImageError, OodsegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from oodseg.failures import FailureDetector
    from oodseg.report.failures import FailureFolder

HELP = """Find where a segmentation is likely wrong, without any truth: pictures, or a scan with its labels.

Every picture gets an error map and an estimated IoU of every class. index.html shows picture, prediction, \
re-synthesis and error map side by side, the pictures most worth a look first; failures.json and \
failures.csv hold the same list. Run the same command again to go on where it was interrupted.

[bold]Examples[/bold]

oodseg failures photos/

oodseg failures photos/ --segmenter segformer:my_model

oodseg failures scan.nii.gz --prediction labels.nii.gz --detector my_pancreas --structure pancreas=7
"""
_WORST = 5


@dataclass(frozen=True)
class Item:
    """One thing to assess.

    Attributes:
        path: The picture; of a slice, what it would be called as a file.
        sources: Files that the assessment is made from.
        read: Gives the picture, uint8 `[H, W, 3]`, and makes the detector ready for it.
    """

    path: Path
    sources: tuple[Path, ...]
    read: Callable[[], NDArray[np.uint8]]


@dataclass
class Summary:
    """What came of a run.

    Attributes:
        done_before: Pictures that an earlier run had done already.
        milliseconds: Time of every picture done by this run, reading to assessment.
    """

    done_before: int = 0
    milliseconds: list[float] = field(default_factory=list)


def failures(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Pictures, folders or patterns; or one .nii.gz.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path(
        "oodseg-results/failures"
    ),
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="street (SynthCP, with a small street network of its own), a folder of `oodseg train "
            "comparator`, or a baseline: msp, entropy, energy, max_logit. Default: street, and msp for a "
            "--segmenter of yours.",
            show_default=False,
        ),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="The segmenter to judge: street, FAMILY:SOURCE or a .yaml file; the detector's own if not "
            "given.",
            show_default=False,
        ),
    ] = None,
    prediction: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS.nii.gz", help="Labels of the scan, made elsewhere: to judge.", show_default=False
        ),
    ] = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CODE",
            help="Which code of these labels is which structure; may be given again, and several codes be "
            "one structure. Needed only where the codes are not the detector's own.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Values of the scan that become black and white; what the detector was trained with, if not "
            "given.",
            show_default=False,
        ),
    ] = None,
    error_format: Annotated[
        ConfidenceFormat, typer.Option(help="Error maps as 16-bit PNG (0..65535 = 0..1) or float32 .npy.")
    ] = ConfidenceFormat.PNG,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo pictures that are done.")] = False,
    device: DeviceOption = Device.CPU,
) -> None:
    """Say where a segmentation is likely wrong; `HELP` is what the user sees."""
    from rich.console import Console

    from oodseg.cli.failures_volume import judge_volume, read_structures
    from oodseg.io.volumes import is_volume
    from oodseg.report.failures import FailureFolder

    volumes = [path for path in paths if is_volume(path)]
    detector = detector or ("street" if segmenter is None and not volumes else "msp")
    if volumes and len(paths) > 1:
        raise ConfigError(f"{volumes[0]} is a volume: give one at a time, with --prediction LABELS.nii.gz")
    options = {"error_format": error_format.value, "fresh": overwrite}
    if volumes:
        if prediction is None:
            raise ConfigError(
                f"a volume is judged together with labels that were made elsewhere: add --prediction "
                f"LABELS.nii.gz to {volumes[0]}"
            )
        if segmenter is not None:
            raise ConfigError("--segmenter is for pictures: a volume's labels come from --prediction")
        codes = read_structures(structure or [])
        judge_volume(Path(volumes[0]), prediction, detector, codes, window, out, device, options)
        return
    if prediction is not None or structure or window:
        raise ConfigError("--prediction, --structure and --window are for volumes: name a .nii.gz file")
    from oodseg.io.images import find_images, read_image

    pictures = find_images(paths, exclude=out)
    loaded = load_detector(detector, segmenter, device)
    settings = {"detector": detector, "detector_sha256": identity(detector), "segmenter": segmenter}
    folder = FailureFolder(out, pictures, settings, loaded.classes, **options)  # type: ignore[arg-type]
    items = [Item(each, (each,), lambda each=each: read_image(each)) for each in pictures]  # type: ignore[misc]
    summary = run_failures(loaded, items, folder, device, Console(stderr=True))
    page = folder.finish()
    show_summary(folder, summary, page, Console())
    if folder.failures:
        raise typer.Exit(1)


def load_detector(name: str, segmenter: str | None, device: Device) -> FailureDetector:
    """Loads a trained failure detector, or builds a baseline that needs no training round a segmenter.

    Args:
        name: Bundled name, folder, or name of a baseline.
        segmenter: What `oodseg.core.spec.build_segmenter` reads; None for the detector's own, which of a
            baseline is the street network.
        device: Where it runs.

    Raises:
        ConfigError: An unknown part, a detector that must be trained first, or no GPU.
        WeightsError: Weights are missing, damaged, or of another version.
    """
    from importlib.metadata import entry_points

    import torch

    from oodseg.core.devices import choose_device
    from oodseg.core.registry import resolve
    from oodseg.core.spec import build_segmenter, read_spec
    from oodseg.failures import FAILURES
    from oodseg.failures.bundle import bundled_failure_detectors, load_failure_detector

    if device is Device.CUDA and not torch.cuda.is_available():
        raise ConfigError("torch finds no CUDA device here: use --device cpu or --device auto")
    chosen = choose_device(device.value)
    parts = {*FAILURES, *(point.name for point in entry_points(group="oodseg.failures"))}
    if name not in parts or name in bundled_failure_detectors():
        judged = None if segmenter is None else build_segmenter(read_spec(segmenter))
        return load_failure_detector(name, chosen, segmenter=judged)
    try:
        built: Any = resolve(FAILURES, "failures", name)(build_segmenter(read_spec(segmenter or "street")))
    except TypeError as error:
        raise ConfigError(
            f"the failure detector '{name}' must be trained first: give the folder that the training wrote, "
            f"or a bundled one ({', '.join(bundled_failure_detectors()) or 'none'})"
        ) from error
    found: FailureDetector = built.to(chosen)
    return found


def identity(name: str) -> str | None:
    """SHA-256 of a trained detector's configuration, which names the checksum of its weights."""
    from oodseg.failures.bundle import find_failure_detector

    with suppress(OodsegError):
        return hashlib.sha256((find_failure_detector(name) / "config.json").read_bytes()).hexdigest()
    return None


def run_failures(
    detector: FailureDetector,
    items: Sequence[Item],
    folder: FailureFolder,
    device: Device = Device.CPU,
    progress_console: Console | None = None,
) -> Summary:
    """Assesses pictures into a folder; one that cannot be used is noted, and the rest goes on.

    Args:
        detector: The failure detector.
        items: What to assess.
        folder: Where results go; `finish` is left to the caller.
        device: Where the detector runs.
        progress_console: Where the progress bar goes; None for none.

    Raises:
        OodsegError: Results cannot be written, or the detector cannot be used.
        KeyboardInterrupt: With a sentence that says how to go on; what was written is whole.
    """
    from oodseg.core.devices import choose_device

    summary = Summary()
    place = choose_device(device.value)
    try:
        with progress_bar(progress_console) as bar:
            for item in bar.track(items, description="judging"):
                try:
                    _one(detector, item, folder, place, summary)
                except ImageError as error:
                    folder.fail(item.path, str(error))
    except KeyboardInterrupt:
        folder.finish()
        raise KeyboardInterrupt(
            f"interrupted after {len(folder.records)} of {len(items)} pictures, all written whole to "
            f"{folder.out}: run the same command again to go on"
        ) from None
    except OodsegError:
        with suppress(OodsegError):
            folder.finish()
        raise
    return summary


def _one(detector: FailureDetector, item: Item, folder: FailureFolder, place: str, summary: Summary) -> None:
    """Assesses one picture, unless that is done."""
    from oodseg.io.images import to_tensor

    fingerprint = folder.fingerprint(*item.sources)
    if folder.done(item.path, fingerprint) is not None:
        summary.done_before += 1
        return
    started = time.perf_counter()
    image = item.read()
    found = detector.assess(to_tensor(image).to(place))
    milliseconds = (time.perf_counter() - started) * 1e3
    folder.write(item.path, fingerprint, image, found, milliseconds)
    summary.milliseconds.append(milliseconds)


def show_summary(
    folder: FailureFolder,
    summary: Summary,
    page: Path,
    console: Console,
    dice: Mapping[str, float | None] | None = None,
) -> None:
    """Prints what came of a run: counts, the worst pictures, what failed and why, and where to look."""
    from rich.table import Table
    from rich.text import Text

    unit = "slices" if dice is not None else "pictures"
    ranked = folder.ranking()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    rows = [(unit, str(len(ranked) + len(folder.failures)))]
    means = [record.mean for _, record in ranked if record.mean is not None]
    if means:
        rows.append((f"median estimated mean {folder.overlap}", f"{median(means):.2f}"))
    for name, value in (dice or {}).items():
        rows.append((f"estimated Dice, {name}", "not predicted" if value is None else f"{value:.2f}"))
    if summary.milliseconds:
        rows.append((f"median seconds a {unit[:-1]}", f"{median(summary.milliseconds) / 1e3:.2f}"))
    if summary.done_before:
        rows.append(("done before", str(summary.done_before)))
    if folder.failures:
        rows.append(("failed", str(len(folder.failures))))
    for row in rows:
        table.add_row(*row)
    console.print(table)
    worst = [entry for entry in ranked if entry[1].mean is not None][:_WORST]
    if worst:
        console.print(Text(f"most worth a look (estimated mean {folder.overlap}):", style="bold"))
    for picture, record in worst:
        console.print(Text(f"  {record.mean:.2f}  {printable(folder.name(picture))}"), soft_wrap=True)
    for reason in folder.failures.values():
        console.print(Text(f"failed: {printable(reason)}", style="red"), soft_wrap=True)
    console.print(Text(f"wrote {printable(str(page))} and the files beside it"), soft_wrap=True)
