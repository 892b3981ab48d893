"""`index.html`: every image of a run, the one most worth a look first; opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from oodseg.report.failure_charts import draw
from oodseg.report.failure_list import FailureEntry, FailureList
from oodseg.report.failure_panels import Colour, class_colours
from oodseg.report.html import fill
from oodseg.report.settings import name_part


def render(listed: FailureList) -> str:
    """Builds the page.

    Args:
        listed: What was found.

    Returns:
        A whole HTML document; its images are the run's own files, loaded as they come into view.
    """
    colours = dict(zip(listed.classes, class_colours(listed.classes), strict=True))
    settings: Mapping[str, Any] = listed.info.get("settings", {})
    return fill(
        "failures.html",
        cards=[_card(entry, colours) for entry in listed.entries],
        unit=listed.unit,
        measure=listed.measure,
        failures=list(listed.failures.values()),
        dice=listed.info.get("dice"),
        volume=_volume(listed.info),
        detector=name_part(settings.get("detector", "")),
        opinions=[name_part(each) for each in settings.get("second_opinions", ())],
        notes=listed.info.get("notes", ()),
        promise=listed.promise,
        interval_word=listed.interval_word,
        dice_ends=listed.structure_intervals,
        dice_promise=listed.structure_promise,
        charts=draw(listed),
        measured=[] if listed.measured is None else listed.measured.facts(),
        measured_charts=[] if listed.measured is None else listed.measured.charts(),
    )


def _volume(info: Mapping[str, Any]) -> dict[str, str | None] | None:
    """Names of a scan and of the labels on it, and the run's files of it; None of images."""
    if "error_volume" not in info:
        return None
    given = info["settings"]["prediction"]
    return {
        "scan": Path(info["settings"]["scan"]).name,
        "labels": None if given is None else Path(given).name,
        "error_file": info["error_volume"],
        "labels_file": info.get("label_volume"),
    }


def _card(entry: FailureEntry, colours: Mapping[str, Colour]) -> dict[str, Any]:
    """The image's figures, the worst class first, and links to its files."""
    record = entry.record
    return {
        "name": entry.name,
        "mean": record.mean,
        "interval": record.interval,
        "wrong": record.wrong,
        "classes": [
            {"name": name, "value": value, "colour": colours[name]}
            for name, value in sorted(record.by_class.items(), key=lambda named: named[1])
            if name in colours
        ],
        "width": record.panel[0],
        "height": record.panel[1],
        "links": {kind: quote(path, errors="surrogateescape") for kind, path in entry.files.items()},
    }
