"""A scan and the labels that lie on it, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.files import shorten_name
from oodseg.core.taxonomy import BACKGROUND
from oodseg.io.volume_formats import volume_name
from oodseg.io.volumes import Volume, take_slice, to_grey


class Slices:
    """The slices of a scan with the labels that lie on them.

    Args:
        scan: The scan.
        labels: uint8 `[X, Y, Z]` of the scan's shape: indices into the classes; None where there are none.
        window: Values of the scan that become black and white.
    """

    def __init__(self, scan: Volume, labels: NDArray[np.uint8] | None, window: tuple[float, float]) -> None:
        self.scan, self.labels, self.window = scan, labels, window
        self.axis = scan.slice_axis

    def __len__(self) -> int:
        return int(self.scan.values.shape[self.axis])

    def image(self, index: int) -> NDArray[np.uint8]:
        """Returns the slice `index` as a grey image, uint8 `[H, W, 3]`."""
        return to_grey(take_slice(self.scan.values, self.axis, index), self.window)

    def label(self, index: int) -> NDArray[np.uint8]:
        """Labels of slice `index`, uint8 `[H, W]`.

        Raises:
            ValueError: The scan has none.
        """
        if self.labels is None:
            raise ValueError(f"{self.scan.path} has no labels")
        return take_slice(self.labels, self.axis, index)

    def names(self) -> list[str]:
        """Returns a name for every slice: `case_slice007`."""
        digits = max(3, len(str(len(self))))
        name = shorten_name(volume_name(self.scan.path), len("_slice.json") + digits)
        return [f"{name}_slice{k:0{digits}d}" for k in range(len(self))]


def map_codes(labels: Volume, classes: Sequence[str], structures: Mapping[int, str]) -> NDArray[np.uint8]:
    """Maps the codes of a label volume to a detector's class indices.

    Args:
        labels: The label volume.
        classes: Names of the detector's classes.
        structures: Class of every code that is wanted, all other voxels being background; several codes may
            be one class; empty if the codes are the classes' numbers already.

    Returns:
        uint8 `[X, Y, Z]`, indices into `classes`.

    Raises:
        ConfigError: A structure that is no class.
        DatasetError: A code that is no class's number, or none of the structures in the volume.
    """
    codes = [int(code) for code in np.unique(labels.values)]
    if not structures:
        unknown = [code for code in codes if code >= len(classes)]
        if unknown:
            listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
            raise DatasetError(
                f"{labels.path} holds the label {unknown[0]}, but the detector knows {listed}: say which "
                f"code is which structure, e.g. --structure {classes[-1]}=CODE"
            )
        return labels.values
    table = np.zeros(256, np.uint8)
    for code, name in structures.items():
        if name not in classes or name == BACKGROUND:
            known = ", ".join(each for each in classes if each != BACKGROUND)
            raise ConfigError(f"the detector knows no structure '{name}': choose among {known}")
        table[code] = classes.index(name)
    if not set(structures) & set(codes):
        raise DatasetError(
            f"{labels.path} holds none of the codes {', '.join(map(str, structures))}; it holds "
            f"{', '.join(map(str, codes))}: check --structure"
        )
    return np.asarray(table[labels.values], np.uint8)
