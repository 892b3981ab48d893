"""`index.html` of a run of the pipeline: every image with its objects, to look through; opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from oodseg.core.overlay import COLOURS
from oodseg.report.html import fill
from oodseg.report.object_list import ObjectEntry, ObjectList, rank
from oodseg.report.settings import tell_choices

_LINKS = {"overlays": "overlay", "masks": "mask", "confidence": "confidence", "scores": "scores"}


def render(listed: ObjectList) -> str:
    """Builds the page.

    Args:
        listed: What was found.

    Returns:
        A whole HTML document; its thumbnails are the run's own files, loaded as they come into view.
    """
    ranked = rank(listed.entries)
    settings: Mapping[str, Any] = listed.info.get("settings") or {}
    folder: str | None = listed.info.get("images")
    return fill(
        "objects.html",
        cards=[_card(entry) for entry in ranked],
        colours=["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS],
        images=len(ranked),
        hits=sum(bool(entry.objects) for entry in ranked),
        objects=sum(len(entry.objects) for entry in ranked),
        failures=list(listed.failures.values()),
        folder=None if folder is None else PurePath(folder).name,
        pipeline=settings.get("pipeline"),
        choices=tell_choices(settings),
        promise=listed.info.get("promise"),
        version=listed.info.get("version"),
    )


def _card(entry: ObjectEntry) -> dict[str, Any]:
    """Returns what the page's script shows of an image."""
    return {
        "name": entry.name.encode("utf-8", "replace").decode("utf-8"),
        "width": entry.width,
        "height": entry.height,
        "peak": entry.peak,
        "thumbnail": _address(entry, "thumbnails"),
        "overlay": _address(entry, "overlays"),
        "links": [
            [word, address] for kind, word in _LINKS.items() if (address := _address(entry, kind)) is not None
        ],
        "objects": [
            {
                "confidence": found["score"],
                "area": found["area"],
                "box": [round(value) for value in found["bbox"][2:]],
                "crop": crop,
            }
            for found, crop in zip(entry.objects, _crops(entry), strict=True)
        ],
    }


def _address(entry: ObjectEntry, kind: str) -> str | None:
    paths = entry.files.get(kind, ())
    return _quoted(paths[0]) if paths else None


def _crops(entry: ObjectEntry) -> list[str | None]:
    crops = entry.files.get("crops", ())
    return [_quoted(path) for path in crops] if crops else [None] * len(entry.objects)


def _quoted(path: str) -> str:
    return quote(path, errors="surrogateescape")
