"""Reads what people picked in the gallery of `oodseg mine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.core.objects import OodObject
from oodseg.core.saving import COCO_FILE
from oodseg.exchange.format import load_json, reading
from oodseg.exchange.labels import LabelledImage
from oodseg.exchange.rows import has_rows


def results_of(picks: Path) -> Path:
    """Finds the folder of the results that picks were made of: where it was, else beside the file.

    Raises:
        DatasetError: The file is damaged, or the folder is gone.
    """
    with reading(picks, "picks of `oodseg mine`"):
        named = Path(str(load_json(picks)["results"]))
    for folder in (named, picks.parent / named.name, picks.parent, picks.parent.parent):
        if (folder / COCO_FILE).is_file() or has_rows(folder):
            return folder
    raise DatasetError(f"the results {named} that {picks} was made of are gone: put them beside it")


def keep_picked(images: Sequence[LabelledImage], picks: Path, choice: str = "keep") -> list[LabelledImage]:
    """Keeps the objects that were kept, and images that hold one.

    Args:
        images: The results that the gallery was made of.
        picks: JSON: under `keep`, `image`, `object` (its place in that image, from 1) and `box` of each;
            under `reject` likewise.
        choice: `"keep"`, or `"reject"` for the objects that were rejected.

    Raises:
        DatasetError: The file is damaged, or made of other results.
    """
    kept: dict[str, list[OodObject]] = {}
    by_name = {image.name: image for image in images}
    with reading(picks, "picks of `oodseg mine`"):
        for each in load_json(picks)[choice]:
            name, number = str(each["image"]), int(each["object"])
            image = by_name.get(name)
            found = image.objects[number - 1] if image and 1 <= number <= len(image.objects) else None
            if found is None or list(found.bbox) != list(each["box"]):
                raise DatasetError(
                    f"{picks} was made of other results (object {number} of {name} is another): pick from "
                    "the gallery of these results"
                )
            kept.setdefault(name, []).append(found)
    return [replace(image, objects=tuple(kept[image.name])) for image in images if image.name in kept]
