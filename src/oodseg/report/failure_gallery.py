"""`index.html`: every picture of a run, the one most worth a look first; opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from urllib.parse import quote

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


@dataclass(frozen=True)
class Entry:
    """One assessed picture.

    Attributes:
        name: What it is called.
        record: What is known of it.
        files: Its files by kind (`error`, `labels`, `heat`, `panels`), as paths relative to the page.
    """

    name: str
    record: FailureRecord
    files: Mapping[str, str]


@dataclass(frozen=True)
class Gallery:
    """A run, ready to be shown.

    Attributes:
        entries: The pictures, the one most worth a look first.
        classes: Names of the classes.
        overlap: What is estimated: `IoU`, or `Dice` of the slices of a volume.
        failures: Why pictures could not be assessed, a sentence for each.
        dice: Estimated Dice of each structure of a whole volume; None for one that is not predicted.
    """

    entries: Sequence[Entry]
    classes: Sequence[str]
    overlap: str
    failures: Sequence[str]
    dice: Mapping[str, float | None]


def render(gallery: Gallery) -> str:
    """Builds the page: a whole HTML document, whose pictures are loaded as they come into view."""
    style = files("oodseg.report").joinpath("style.css").read_text(encoding="utf-8")
    cards = "".join(_card(gallery, rank, entry) for rank, entry in enumerate(gallery.entries, start=1))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oodseg failures</title><style>{style}{_STYLE}</style></head><body>"
        "<header><h1>Where the segmentation is likely wrong</h1></header>"
        f"<main>{_summary(gallery)}{_whole(gallery)}{_failed(gallery)}{cards}</main></body></html>\n"
    )


def _summary(gallery: Gallery) -> str:
    word, count = gallery.overlap, len(gallery.entries)
    unit = "slice" if word == "Dice" else "picture"
    return (
        f"<p>{count} {unit}{'' if count == 1 else 's'}, the ones most worth a look first: sorted by the "
        f"estimated mean {word} of the predicted classes, lowest first. All figures are estimates made "
        "without any truth. Bright in the error map: likely wrong.</p>"
    )


def _whole(gallery: Gallery) -> str:
    """The estimate of a whole volume."""
    if not gallery.dice:
        return ""
    rows = "".join(
        f'<tr class="ours"><th scope="row">{escape(name)}</th><td>{_percent(value)}</td></tr>'
        for name, value in gallery.dice.items()
    )
    return (
        "<table><thead><tr><th>structure</th><th>estimated Dice of the whole volume</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _failed(gallery: Gallery) -> str:
    if not gallery.failures:
        return ""
    rows = "".join(f"<li>{escape(reason)}</li>" for reason in gallery.failures)
    return f'<h3 class="failed">Not assessed: {len(gallery.failures)}</h3><ul class="failed">{rows}</ul>'


def _card(gallery: Gallery, rank: int, entry: Entry) -> str:
    name = escape(entry.name)
    panel, (width, height) = _link(entry, "panels"), entry.record.panel
    others = "".join(f'<a href="{_link(entry, kind)}">{title}</a>' for kind, title in _FILES.items())
    return (
        f'<article class="card" id="rank{rank}"><h4><span class="rank">{rank}</span>{name}</h4>'
        f'<ul class="figures">{_figures(gallery, entry.record)}</ul>'
        f'<a class="panel" href="{panel}"><img src="{panel}" alt="{name}: picture, prediction and error map" '
        f'width="{width}" height="{height}" loading="lazy"></a><p class="files">{others}</p></article>'
    )


def _figures(gallery: Gallery, record: FailureRecord) -> str:
    """Mean, expected share of wrong pixels, then the classes, the worst first."""
    colours = dict(zip(gallery.classes, class_colours(gallery.classes), strict=True))
    mean = "no class predicted" if record.mean is None else _percent(record.mean)
    items = [
        f"estimated mean {gallery.overlap} <b>{mean}</b>",
        f"expected wrong pixels <b>{_percent(record.wrong)}</b>",
    ]
    items += [
        f'<span class="swatch" style="background:rgb{colours[name]}"></span>{escape(name)} '
        f"<b>{_percent(value)}</b>"
        for name, value in sorted(record.by_class.items(), key=lambda entry: entry[1])
        if name in colours
    ]
    return "".join(f"<li>{item}</li>" for item in items)


def _link(entry: Entry, kind: str) -> str:
    return quote(entry.files[kind], errors="surrogateescape")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
