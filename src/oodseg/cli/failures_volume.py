"""`oodseg failures` on a scan: its labels are judged slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.cli.loading import Device
from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.io.slices import Slices
    from oodseg.report.failures import FailureFolder


def read_structures(arguments: Sequence[str]) -> dict[int, str]:
    """Parses `NAME=CODE` to the name of every code.

    Raises:
        ConfigError: Something else was written.
    """
    found: dict[int, str] = {}
    for argument in arguments:
        name, equals, code = argument.rpartition("=")
        if not equals or not name or not code.isdecimal() or int(code) > 255:
            raise ConfigError(f"--structure {argument}: write NAME=CODE with a code 0..255, as pancreas=7")
        found[int(code)] = name
    return found


def judge_volume(
    scan_path: Path,
    prediction: Path,
    name: str,
    structures: Mapping[int, str],
    window: tuple[float, float] | None,
    out: Path,
    device: Device,
    options: Mapping[str, Any],
) -> None:
    """Judges the labels of a scan slice by slice; writes their error as a volume beside the usual files.

    Args:
        scan_path: The scan.
        prediction: Labels on it.
        name: Failure detector: bundled name or folder, trained on volumes.
        structures: Structure of every code in these labels; empty if they are the detector's own numbers.
        window: Values that become black and white; None for those the detector was trained with.
        out: Folder for the results.
        device: Where the detector runs.
        options: Further arguments of `FailureFolder`.

    Raises:
        OodsegError: Unusable volumes, labels, detector or window, or results that cannot be written.
    """
    import torch
    from rich.console import Console

    from oodseg.cli.failures import Item, identity, load_detector, run_failures, show_summary
    from oodseg.failures.structures import volume_dice
    from oodseg.io.slices import Slices, map_codes
    from oodseg.io.volumes import read_labels, read_volume, usual_window
    from oodseg.report.failures import FailureFolder
    from oodseg.segmenters.given import GivenLabels

    scan = read_volume(scan_path)
    labels = read_labels(prediction, scan)
    detector: Any = load_detector(name, None, device)
    if not isinstance(getattr(detector, "segmenter", None), GivenLabels):
        raise ConfigError(
            f"the failure detector '{name}' judges a segmenter of its own: give --detector the folder of one "
            "that was trained on volumes"
        )
    given: GivenLabels = detector.segmenter
    codes = map_codes(labels, given.classes, structures)
    window = window or given.window or usual_window(scan)
    if window[0] >= window[1]:
        raise ConfigError(f"--window {window[0]:g} {window[1]:g}: the second value must be the larger one")
    slices = Slices(scan, codes, window)

    def read(index: int) -> NDArray[np.uint8]:
        given.labels = torch.from_numpy(slices.label(index).copy())
        return slices.picture(index)

    settings = {
        "detector": name,
        "detector_sha256": identity(name),
        "scan": str(scan_path),
        "prediction": str(prediction),
        "structures": {str(code): name for code, name in structures.items()},
        "window": list(window),
        "slice_axis": slices.axis,
    }
    paths = slices.paths()
    folder = FailureFolder(out, paths, settings, given.classes, overlap="Dice", **options)
    items = [
        Item(path, (path, scan_path, prediction), lambda index=index: read(index))  # type: ignore[misc]
        for index, path in enumerate(paths)
    ]
    summary = run_failures(detector, items, folder, device, Console(stderr=True))
    error_path = _write_error(slices, folder, paths)
    dice = volume_dice(folder.records.values(), given.classes)
    page = folder.finish(dice=dice, error_volume=error_path.name)
    show_summary(folder, summary, page, Console(), dice)


def _write_error(slices: Slices, folder: FailureFolder, paths: Sequence[Path]) -> Path:
    """Puts the slices' error maps together and writes them beside the scan's other results."""
    import numpy as np

    from oodseg.io.volumes import put_slice, write_volume

    values = np.zeros(slices.scan.values.shape, np.float32)
    for index, path in enumerate(paths):
        put_slice(values, slices.axis, index, folder.read_error(path))
    target = folder.out / "error.nii.gz"
    write_volume(target, values, slices.scan)
    return target
