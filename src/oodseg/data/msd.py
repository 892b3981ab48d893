"""Cuts labelled scans into slices to train on; `oodseg.data.msd_layout` says how scans lie on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodseg.core.encoding import encode_png
from oodseg.core.errors import ConfigError, DatasetError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.progress import Progress
from oodseg.core.texts import read_text
from oodseg.data.msd_layout import SPLITS, Case, read_layout, split_cases
from oodseg.io.slices import Slices
from oodseg.io.volumes import read_labels, read_volume, usual_window

SLICES_FILE = "slices.json"
_EMPTY_EVERY = 10  # of the slices without any structure, one in so many is kept


def export_slices(
    root: Path,
    out: Path,
    window: tuple[float, float] | None,
    predictions: Path | None = None,
    progress: Progress | None = None,
    *,
    structures: Mapping[int, str] | None = None,
    fold: tuple[int, int] | None = None,
    volume: int | None = None,
) -> dict[str, int]:
    """Cuts all cases into slices: `out/<split>/{images,labels,predictions}/<case>_slice000.png`.

    Kept are the slices in which truth or prediction hold a structure, and one in ten of the others. A case
    that is done is not done again.

    Args:
        root: The task's folder as unpacked, or one with `images/` and `labels/`.
        out: Folder to write to.
        window: Values of the scans that become black and white; None for those of each scan
            (`oodseg.io.volumes.usual_window`), for its units mean nothing, as those of MR do.
        predictions: Folder of predictions, or None.
        progress: Told after every case.
        structures: See `read_layout`.
        fold: See `split_cases`.
        volume: Of scans with several, see `read_volume`.

    Returns:
        Slices of every split.

    Raises:
        ConfigError: A window whose second value is not the larger one.
        DatasetError: Files are missing, do not belong together, or hold labels that have no name.
        ImageError: A volume cannot be read.
        OodsegError: A file cannot be written, or `out` holds slices of another window or origin.
    """
    if window is not None and window[0] >= window[1]:
        raise ConfigError(f"--window {window[0]:g} {window[1]:g}: the second value must be the larger one")
    classes, cases = read_layout(root, predictions, structures)
    about = {
        "classes": list(classes),
        "window": None if window is None else list(window),
        "predictions": predictions is not None,
        "origin": root.resolve().name,
        **({} if fold is None else {"fold": list(fold)}),
        **({} if volume is None else {"volume": volume}),
    }
    _check_same(out / SLICES_FILE, about)
    counts = dict.fromkeys(SPLITS, 0)
    placed = [(split, case) for split, part in split_cases(cases, fold).items() for case in part]
    for done, (split, case) in enumerate(placed):
        if progress:
            progress("cutting", done, len(placed))
        counts[split] += _export_case(case, out / split, classes, window, volume)
    if progress:
        progress("cutting", len(placed), len(placed))
    write_json(out / SLICES_FILE, about, indent=1)
    return counts


def _export_case(
    case: Case, out: Path, classes: Sequence[str], window: tuple[float, float] | None, number: int | None
) -> int:
    """Writes one case, a list of its slices last; returns how many there are."""
    listed = out / "cases" / f"{case.name}.json"
    if listed.is_file():
        return len(json.loads(read_text(listed)))
    scan = read_volume(case.scan, number)
    kinds = {"labels": case.labels}
    if case.prediction is not None:
        kinds["predictions"] = case.prediction
    stacks = {}
    for kind, path in kinds.items():
        volume = read_labels(path, scan)
        if volume.values.max() >= len(classes):
            raise DatasetError(
                f"{path} holds the label {volume.values.max()}, but dataset.json names only "
                f"{', '.join(f'{k} {name}' for k, name in enumerate(classes))}: are the files of one task?"
            )
        stacks[kind] = Slices(scan, volume.values, window or usual_window(scan))
    images = stacks["labels"]
    names = []
    for index, name in enumerate(images.names()):
        labels = {kind: stack.label(index) for kind, stack in stacks.items()}
        if index % _EMPTY_EVERY and not any(each.any() for each in labels.values()):
            continue
        write_bytes(out / "images" / f"{name}.png", encode_png(images.image(index)[:, :, 0]))
        for kind, each in labels.items():
            write_bytes(out / kind / f"{name}.png", encode_png(each))
        names.append(name)
    write_json(listed, names)
    return len(names)


def _check_same(path: Path, about: dict[str, Any]) -> None:
    try:
        found = json.loads(read_text(path))
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        found = None
    if found != about:
        raise DatasetError(
            f"{path.parent} holds slices that were cut otherwise (window, structures, origin or predictions "
            "differ): choose another folder"
        )
