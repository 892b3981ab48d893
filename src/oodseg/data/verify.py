"""Checks every file of a benchmark and describes it, before hours are spent measuring the wrong thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.fingerprint import hash_stream
from oodseg.core.progress import Progress
from oodseg.data.frames import ANOMALY, BenchmarkSet, Frame, translate


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


def verify(dataset: BenchmarkSet, progress: Progress | None = None) -> Verification:
    """Reads every label and every image's header.

    Args:
        dataset: What `open_dataset` returned.
        progress: Told after every frame.

    Raises:
        DatasetError: An unknown label code, an unreadable file, or a label of another size than its image;
            the message names the file.
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
    """SHA-256 over the frames' names and labels, in order."""
    return hash_stream(frame.name.encode() + b"\0" + frame.label_bytes for frame in frames)


def _check_size(frame: Frame, height: int, width: int) -> None:
    if frame.image_path is None:
        return
    from PIL import Image

    try:
        with Image.open(frame.image_path) as image:
            size = image.size
    except OSError as error:
        raise DatasetError(
            f"the image {frame.image_path} cannot be read ({error}): unpack the set again"
        ) from error
    if size != (width, height):
        raise DatasetError(
            f"the label {frame.label_path} is {width}x{height} pixels but its image {frame.image_path} is "
            f"{size[0]}x{size[1]}: they belong to different versions of the set"
        )
