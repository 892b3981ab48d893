"""`index.html`: every image of a run, the one most worth a look first; opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from oodseg.report.failure_list import FailureEntry, FailureList
from oodseg.report.failure_panels import class_colours
from oodseg.report.failure_record import FailureRecord

_STYLE = """
.rank { color: var(--soft); margin-right: .6rem; font-variant-numeric: tabular-nums; }
.figures { display: flex; flex-wrap: wrap; gap: .15rem 1.3rem; margin: 0 0 .5rem; padding: 0;
  list-style: none; font-size: .85rem; font-variant-numeric: tabular-nums; }
.figures b { font-weight: 600; }
.figures .swatch { margin-right: .35rem; vertical-align: -.12rem; }
.panel img { width: 100%; height: auto; border-radius: 6px; background: #101216; display: block; }
.files { font-size: .8rem; margin: .35rem 0 0; }
.files a { margin-right: .9rem; }
.failed { color: #9b1c1c; }
main { max-width: 1700px; }
"""
_FILES = {"heat": "heat map, full size", "error": "error as numbers", "labels": "predicted classes"}


def render(listed: FailureList) -> str:
    """Builds the page.

    Args:
        listed: What was found.

    Returns:
        A whole HTML document; its images are the run's own files, loaded as they come into view.
    """
    style = files("oodseg.report").joinpath("style.css").read_text(encoding="utf-8")
    cards = "".join(_card(listed, number, entry) for number, entry in enumerate(listed.entries, start=1))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oodseg failures</title><style>{style}{_STYLE}</style></head><body>"
        "<header><h1>Where the segmentation is likely wrong</h1></header>"
        f"<main>{_summary(listed)}{_whole(listed.info)}{_failed(listed)}{cards}</main></body></html>\n"
    )


def _summary(listed: FailureList) -> str:
    count, word = len(listed.entries), listed.overlap
    return (
        f"<p>{count} {listed.unit}{'' if count == 1 else 's'}, the ones most worth a look first: sorted by "
        f"the estimated mean {word} of the predicted classes, lowest first. All figures are estimates made "
        "without any truth. Bright in the error map: likely wrong.</p>"
    )


def _whole(facts: Mapping[str, Any]) -> str:
    """The estimate of a whole volume."""
    dice = facts.get("dice")
    if not dice:
        return ""
    rows = "".join(
        f'<tr class="ours"><th scope="row">{escape(name)}</th><td>{_percent(value)}</td></tr>'
        for name, value in dice.items()
    )
    return (
        "<table><thead><tr><th>structure</th><th>estimated Dice of the whole volume</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _failed(listed: FailureList) -> str:
    if not listed.failures:
        return ""
    rows = "".join(f"<li>{escape(reason)}</li>" for reason in listed.failures.values())
    return f'<h3 class="failed">Not assessed: {len(listed.failures)}</h3><ul class="failed">{rows}</ul>'


def _card(listed: FailureList, number: int, entry: FailureEntry) -> str:
    name = escape(entry.name)
    panel, (width, height) = _link(entry, "panels"), entry.record.panel
    others = "".join(f'<a href="{_link(entry, kind)}">{title}</a>' for kind, title in _FILES.items())
    return (
        f'<article class="card" id="rank{number}"><h4><span class="rank">{number}</span>{name}</h4>'
        f'<ul class="figures">{_figures(listed, entry.record)}</ul>'
        f'<a class="panel" href="{panel}"><img src="{panel}" alt="{name}: image, prediction and error map" '
        f'width="{width}" height="{height}" loading="lazy"></a><p class="files">{others}</p></article>'
    )


def _figures(listed: FailureList, record: FailureRecord) -> str:
    """Mean, expected share of wrong pixels, then the classes, the worst first."""
    colours = dict(zip(listed.classes, class_colours(listed.classes), strict=True))
    mean = "no class predicted" if record.mean is None else _percent(record.mean)
    items = [
        f"estimated mean {listed.overlap} <b>{mean}</b>",
        f"expected wrong pixels <b>{_percent(record.wrong)}</b>",
    ]
    items += [
        f'<span class="swatch" style="background:rgb{colours[name]}"></span>{escape(name)} '
        f"<b>{_percent(value)}</b>"
        for name, value in sorted(record.by_class.items(), key=lambda entry: entry[1])
        if name in colours
    ]
    return "".join(f"<li>{item}</li>" for item in items)


def _link(entry: FailureEntry, kind: str) -> str:
    return quote(entry.files[kind], errors="surrogateescape")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
