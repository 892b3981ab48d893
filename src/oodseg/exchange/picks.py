"""Reads what people picked in the gallery of `oodseg mine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oodseg.core.errors import DatasetError
from oodseg.core.objects import OodObject
from oodseg.exchange.format import load_json, reading
from oodseg.exchange.labels import LabelledImage


def keep_picked(images: Sequence[LabelledImage], picks: Path) -> list[LabelledImage]:
    """Keeps the objects that were kept, and images that hold one.

    Args:
        images: The results that the gallery was made of.
        picks: JSON: under `keep`, `image`, `object` (its place in that image, from 1) and `box` of each.

    Raises:
        DatasetError: The file is damaged, or made of other results.
    """
    kept: dict[str, list[OodObject]] = {}
    by_name = {image.name: image for image in images}
    with reading(picks, "picks of `oodseg mine`"):
        for each in load_json(picks)["keep"]:
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
