"""Checks every file of a benchmark and describes it, before hours are spent measuring the wrong thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.fingerprint import hash_stream
from oodseg.core.input_warnings import warn_input
from oodseg.core.progress import Progress
from oodseg.data.frames import (
    ANOMALY,
    CODE_NAMES,
    IGNORE,
    IN_DISTRIBUTION,
    BenchmarkSet,
    Frame,
    is_binary,
    translate,
)
from oodseg.data.layouts import LAYOUTS
from oodseg.io.images import read_header


@dataclass(frozen=True)
class Verification:
    """Summarises the contents of a set.

    Attributes:
        dataset: The set.
        codes: Label code in the files to the pixels that have it.
        meaning: Label code to 0 in-distribution, 1 anomaly, 255 ignore.
        labelled: Frames with a label.
        images: Frames with an image.
        empty: Frames without a single anomalous pixel.
        fingerprint: SHA-256 over names and label files: equal fingerprints, equal truth.
    """

    dataset: BenchmarkSet
    codes: dict[int, int]
    meaning: dict[int, int]
    labelled: int
    images: int
    empty: int
    fingerprint: str

    def facts(self) -> list[tuple[str, str]]:
        """Describes the set as pairs of name and value."""
        data, total = self.dataset, max(1, sum(self.codes.values()))
        counts = (
            f"{self.labelled} labelled",
            f"{self.images} with an image",
            f"{self.empty} without any anomaly",
        )
        facts = [("set", f"{data.title} ({data.key})")]
        if data.benchmark and data.benchmark != data.key:
            facts.append(("taken for", f"{LAYOUTS[data.benchmark].title}, by the folder's name"))
        facts += [("split", data.split), ("frames", f"{len(data.frames)}: {', '.join(counts)}")]
        facts += [
            (
                f"label code {code}",
                f"{CODE_NAMES[self.meaning[code]]}, {100 * pixels / total:.3g} % of pixels",
            )
            for code, pixels in self.codes.items()
        ]
        return [*facts, ("fingerprint", self.fingerprint), ("licence", data.licence)]


def verify(dataset: BenchmarkSet, progress: Progress | None = None) -> Verification:
    """Reads every label and every image's header.

    Args:
        dataset: What `open_dataset` returned.
        progress: Told after every frame.

    Raises:
        DatasetError: An unknown label code, an unreadable file, or a label of another size than its image as
            `read_image` gives it, upright; the message names the file.
    """
    counts: Counter[int] = Counter()
    meaning: dict[int, int] = {}
    empty = 0
    for done, frame in enumerate(dataset.frames, 1):
        if frame.label_path is not None:
            raw = frame.raw_label
            empty += not (translate(raw, frame.codes, frame.label_path) == ANOMALY).any()
            _check_size(frame, raw.shape[0], raw.shape[1])
            for code, pixels in zip(*np.unique(raw, return_counts=True), strict=True):
                counts[int(code)] += int(pixels)
                meaning[int(code)] = frame.codes[int(code)]
        if progress:
            progress(f"checking {dataset.title}", done, len(dataset.frames))
    painted = meaning == {0: IN_DISTRIBUTION, 255: IGNORE}
    if painted and all(is_binary(frame.codes) for frame in dataset.frames):
        warn_input(
            f"the labels in {dataset.root} hold 0 and 255 alone, and 255 means ignore: if it is the anomaly, "
            "say so with --anomaly-value 255 (open_dataset(..., anomaly_value=255))"
        )
    return Verification(
        dataset,
        dict(sorted(counts.items())),
        meaning,
        sum(frame.label_path is not None for frame in dataset.frames),
        sum(frame.image_path is not None for frame in dataset.frames),
        empty,
        fingerprint(dataset.frames),
    )


def fingerprint(frames: Iterable[Frame]) -> str:
    """Computes the SHA-256 over the frames' names and labels, in order."""
    return hash_stream(frame.name.encode() + b"\0" + frame.label_bytes for frame in frames)


def _check_size(frame: Frame, height: int, width: int) -> None:
    if frame.image_path is None:
        return
    try:
        header = read_header(frame.image_path)
    except ImageError as error:
        raise DatasetError(f"the image {frame.image_path} cannot be read ({error})") from error
    upright, stored = header.shape, (header.height, header.width)
    if (height, width) == upright:
        # Turned upside down or mirrored, as a square on its side, an image keeps its size.
        if header.orientation != 1 and upright == stored:
            warn_input(
                f"{frame.image_path} is shown turned, as its EXIF orientation ({header.orientation}) says: "
                f"its label {frame.label_path} is taken as drawn on what is shown, not on the stored pixels"
            )
        return
    if (height, width) == stored:
        raise DatasetError(
            f"the label {frame.label_path} ({width}x{height} pixels) is drawn on the stored pixels of "
            f"{frame.image_path}, which is shown turned to {upright[1]}x{upright[0]} as its EXIF orientation "
            f"({header.orientation}) says: turn the label likewise, or take the orientation out of the image"
        )
    raise DatasetError(
        f"the label {frame.label_path} is {width}x{height} pixels but its image {frame.image_path} is "
        f"{upright[1]}x{upright[0]}: they belong to different versions of the set"
    )
