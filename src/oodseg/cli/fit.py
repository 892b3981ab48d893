"""`oodseg fit`: teach a detector what ordinary pictures look like, and save it as a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.loading import DetectorOption, Device, DeviceOption, PipelineOption, load_pipeline
from oodseg.core.errors import ConfigError, ImageError, OodsegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from torch import Tensor

    from oodseg.pipeline import S2M

HELP = """Fit a detector to your ordinary pictures, and save it as a pipeline.

Give pictures in which nothing is unknown: some hundred frames of your own camera, of the places it goes \
to. No labels are needed. What is learned: the statistics of scores that have some (sml, kl_matching, \
mahalanobis, maskomaly), and for every score the range it has on ordinary pictures, which the box prompts go \
by. So this is the step after choosing a segmenter and a score, and the one to repeat for another camera.

[bold]Examples[/bold]

oodseg fit drives/ --detector street+sml --out my_pipeline

oodseg fit drives/ --detector mask2former:my_checkpoint+rba --out my_pipeline --limit 300

oodseg predict photos/ --pipeline my_pipeline

Another camera for the shipped detector: oodseg fit drives/ --out my_pipeline
"""

RECORD = "fit.json"  # what tells a folder of ours from anybody else's


@dataclass
class Pictures:
    """In-distribution pictures at the pipeline's working size, as often as one iterates over them.

    Attributes:
        failures: Why a picture could not be read.
    """

    paths: Sequence[Path]
    s2m: S2M
    console: Console | None = None
    failures: dict[Path, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Tensor]:
        """Float `[1, 3, h, w]` in 0..1 on the pipeline's device; unreadable pictures are left out."""
        from oodseg.io.images import resize, to_tensor

        for image in self._images():
            small = resize(image, *self.s2m.working_size(*image.shape[:2]))
            yield to_tensor(small)[None].to(self.s2m.device)

    def scores(self) -> Iterator[Tensor]:
        """The detector's scores of every readable picture, as the pipeline takes them."""
        return (self.s2m.detector_score(image) for image in self._images())

    def _images(self) -> Iterator[NDArray[np.uint8]]:
        from rich.progress import track

        from oodseg.io.images import read_image

        hidden = self.console is None or not self.console.is_terminal
        bar = track(self.paths, "looking at pictures", console=self.console, disable=hidden, transient=True)
        for path in bar:
            if path in self.failures:
                continue
            try:
                yield read_image(path)
            except ImageError as error:
                self.failures[path] = str(error)


def fit(
    paths: Annotated[
        list[str], typer.Argument(metavar="PICTURE...", help="Ordinary pictures: files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the fitted pipeline.")],
    detector: DetectorOption = None,
    pipeline: PipelineOption = "street",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many pictures, spread evenly.", show_default=False),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; all cores if not given.", show_default=False)
    ] = None,
    device: DeviceOption = Device.CPU,
) -> None:
    """Fit a detector to ordinary pictures; `HELP` is what the user sees."""
    from rich.console import Console
    from rich.text import Text

    from oodseg.io.images import find_images

    check_target(out)
    found = find_images(paths, exclude=out)
    if limit is not None:
        found = spread(found, limit)
    s2m = load_pipeline(pipeline, device, detector=detector, threads=threads)
    pictures = Pictures(found, s2m, Console(stderr=True))
    run_fit(s2m, pictures, out, {"detector": detector, "pipeline": pipeline})
    console = Console()
    for reason in pictures.failures.values():
        console.print(Text(f"left out: {reason}", style="yellow"), soft_wrap=True)
    used = len(found) - len(pictures.failures)
    what = detector or "the detector"
    console.print(Text(f"fitted {what} on {used} pictures; wrote the pipeline {out}"), soft_wrap=True)
    console.print(Text(f"next: oodseg predict PICTURES --pipeline {out}"), soft_wrap=True)


def run_fit(s2m: S2M, pictures: Pictures, out: Path, settings: dict[str, Any]) -> None:
    """Fits a pipeline's detector and saves the pipeline.

    Args:
        s2m: The pipeline; its detector is changed in place.
        pictures: In-distribution pictures.
        out: Folder that `check_target` has passed.
        settings: JSON-able: what `fit.json` notes beside the figures.

    Raises:
        OodsegError: No readable picture, scores that cannot be fitted, or a folder that cannot be written.
    """
    from oodseg.core.files import write_json
    from oodseg.detectors import ScoreNormalizer

    detector: Any = s2m.detector
    _ = detector.config  # what cannot be saved is refused before the work, not after it
    try:
        if hasattr(detector, "fit"):
            detector.fit(pictures)
        else:
            detector.normalizer = ScoreNormalizer.fit(pictures.scores())
    except OodsegError as error:
        if len(pictures.failures) < len(pictures.paths):
            raise
        first = next(iter(pictures.failures.values()))
        raise ImageError(
            f"none of the {len(pictures.paths)} pictures can be read; the first: {first}"
        ) from error
    s2m.name = out.absolute().name
    record = {"pictures": len(pictures.paths) - len(pictures.failures)}
    record |= {"mean": detector.normalizer.mean, "std": detector.normalizer.std}
    # First, so that a save that is broken off can be done again.
    write_json(out / RECORD, {**settings, **record}, indent=1)
    s2m.save_pretrained(out)


def check_target(out: Path) -> None:
    """Makes sure that nothing of anybody's is overwritten: `out` is new, empty, or an earlier fit.

    Raises:
        ConfigError: It is something else.
    """
    used = any(out.iterdir()) if out.is_dir() else out.exists()
    if used and not (out / RECORD).is_file():
        raise ConfigError(
            f"{out} holds something that `oodseg fit` did not write: choose a new folder with --out"
        )


def spread(paths: Sequence[Path], limit: int) -> list[Path]:
    """At most `limit` of the paths, evenly spread, in their order."""
    count = min(limit, len(paths))
    return [paths[index * len(paths) // count] for index in range(count)]
