"""One image with its truth, and one set of them, whatever the layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.io.labels import read_label

IN_DISTRIBUTION, ANOMALY, IGNORE = 0, 1, 255
_OTHER_CODE = ", or name the code of anomalies with --anomaly-value"
CODE_NAMES = {IN_DISTRIBUTION: "in-distribution", ANOMALY: "anomaly", IGNORE: "ignore"}


@dataclass(frozen=True)
class Frame:
    """One image of a benchmark.

    Attributes:
        name: Name within the set, without suffix; may hold slashes. Score files carry it.
        image_path: The image, or None where only labels are at hand.
        label_path: The label image, or None where the truth is hidden (a test split).
        codes: What the label file's codes mean: code to 0 in-distribution, 1 anomaly or 255 ignore.
        draw: Gives the codes, uint16 `[H, W]`, where `label_path` is no label image but holds outlines.
        groups: Of what kinds the image is, such as `{"weather": "rain"}`; figures are broken down by them.
    """

    name: str
    image_path: Path | None
    label_path: Path | None
    codes: Mapping[int, int] = field(repr=False)
    groups: Mapping[str, str] = field(default_factory=dict, repr=False)
    draw: Callable[[], NDArray[np.uint16]] | None = field(default=None, repr=False)

    @property
    def label(self) -> NDArray[np.uint8]:
        """The truth, uint8 `[H, W]` with 0 in-distribution, 1 anomaly, 255 ignore; read anew at every call.

        Raises:
            DatasetError: No label, an unreadable one, or a code that the layout does not know.
        """
        return translate(self.raw_label, self.codes, self.label_path)

    @property
    def raw_label(self) -> NDArray[np.uint16]:
        """The codes as they stand in the file, uint16 `[H, W]`.

        Raises:
            DatasetError: No label, or an unreadable one.
        """
        if self.label_path is None:
            raise DatasetError(
                f"'{self.name}' has no label (its truth is not published): evaluate a split that has"
            )
        return read_label(self.label_path) if self.draw is None else self.draw()

    @property
    def label_bytes(self) -> bytes:
        """Returns the bytes behind the truth: the label file or the drawn codes; empty if it is hidden.

        Raises:
            OSError: The file cannot be read.
        """
        if self.label_path is None:
            return b""
        return self.label_path.read_bytes() if self.draw is None else self.draw().tobytes()


@dataclass(frozen=True)
class BenchmarkSet:
    """A set of frames on disk.

    Attributes:
        key: Layout, as `oodseg datasets list` names it.
        title: What people call it.
        split: `validation`, `test`, …; `unknown` for a plain folder.
        root: The folder.
        frames: In natural order.
        licence: Terms of the data, as its publishers state them.
        track: `anomaly` or `obstacle`: which minimum component sizes apply.
        benchmark: Which published tables it stands beside (`road_anomaly_21`, …), None if unknown.
        notes: What a reader of its figures must know, one sentence each.
    """

    key: str
    title: str
    split: str
    root: Path
    frames: tuple[Frame, ...]
    licence: str
    track: str
    benchmark: str | None = None
    notes: tuple[str, ...] = ()


def codes(**meaning: tuple[int, ...]) -> Mapping[int, int]:
    """Builds a code table from `normal=`, `anomaly=` and `ignore=` tuples of label codes."""
    target = {"normal": IN_DISTRIBUTION, "anomaly": ANOMALY, "ignore": IGNORE}
    return MappingProxyType({code: target[kind] for kind, listed in meaning.items() for code in listed})


def binary(anomaly: int) -> Mapping[int, int]:
    """Builds the table of labels that hold 0 in-distribution, one code for anomalies, and 255 to ignore.

    Args:
        anomaly: The code, 1..65535; if it is 255, nothing is ignored.
    """
    return codes(normal=(0,), anomaly=(anomaly,), ignore=() if anomaly == IGNORE else (IGNORE,))


BINARY, ROAD_ANOMALY = binary(1), binary(2)


def is_binary(table: Mapping[int, int]) -> bool:
    """Tells whether a table is one of `binary`."""
    return any(dict(table) == dict(binary(code)) for code, kind in table.items() if kind == ANOMALY)


def translate(raw: NDArray[np.uint16], table: Mapping[int, int], path: Path | None) -> NDArray[np.uint8]:
    """Turns label codes into 0 in-distribution, 1 anomaly, 255 ignore, uint8 `[H, W]`.

    Raises:
        DatasetError: A code that is not in the table; the message names the file.
    """
    lookup = np.full(1 << 16, 254, np.uint8)
    lookup[list(table)] = list(table.values())
    label = lookup[raw]
    if (label == 254).any():
        unknown = ", ".join(str(code) for code in np.unique(raw[label == 254])[:5])
        known = ", ".join(f"{code} {CODE_NAMES[kind]}" for code, kind in sorted(table.items())[:24])
        raise DatasetError(
            f"{path} holds the label code {unknown}, which this set does not have ({known}): check that it "
            f"is the label and of the right version{_OTHER_CODE if is_binary(table) else ''}"
        )
    return label
