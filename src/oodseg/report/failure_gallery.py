"""`index.html`: every picture of a run, the one most worth a look first; opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from oodseg.report.failure_panels import class_colours

if TYPE_CHECKING:
    from oodseg.report.failures import FailureFolder, FailureRecord

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


def render(folder: FailureFolder, facts: Mapping[str, Any]) -> str:
    """Builds the page.

    Args:
        folder: The run.
        facts: What else is known; `dice` (structure to estimate of a whole volume) is shown on top.

    Returns:
        A whole HTML document; its pictures are the run's own files, loaded as they come into view.
    """
    style = files("oodseg.report").joinpath("style.css").read_text(encoding="utf-8")
    ranked = folder.ranking()
    cards = "".join(_card(folder, rank, *entry) for rank, entry in enumerate(ranked, start=1))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oodseg failures</title><style>{style}{_STYLE}</style></head><body>"
        "<header><h1>Where the segmentation is likely wrong</h1></header>"
        f"<main>{_summary(folder, len(ranked))}{_whole(facts)}{_failed(folder)}{cards}</main></body></html>\n"
    )


def _summary(folder: FailureFolder, count: int) -> str:
    word = folder.overlap
    unit = "slice" if word == "Dice" else "picture"
    return (
        f"<p>{count} {unit}{'' if count == 1 else 's'}, the ones most worth a look first: sorted by the "
        f"estimated mean {word} of the predicted classes, lowest first. All figures are estimates made "
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


def _failed(folder: FailureFolder) -> str:
    if not folder.failures:
        return ""
    rows = "".join(f"<li>{escape(reason)}</li>" for reason in folder.failures.values())
    return f'<h3 class="failed">Not assessed: {len(folder.failures)}</h3><ul class="failed">{rows}</ul>'


def _card(folder: FailureFolder, rank: int, picture: Path, record: FailureRecord) -> str:
    name = escape(folder.name(picture))
    panel, (width, height) = _link(folder, "panels", picture), record.panel
    others = "".join(
        f'<a href="{_link(folder, kind, picture)}">{title}</a>' for kind, title in _FILES.items()
    )
    return (
        f'<article class="card" id="rank{rank}"><h4><span class="rank">{rank}</span>{name}</h4>'
        f'<ul class="figures">{_figures(folder, record)}</ul>'
        f'<a class="panel" href="{panel}"><img src="{panel}" alt="{name}: picture, prediction and error map" '
        f'width="{width}" height="{height}" loading="lazy"></a><p class="files">{others}</p></article>'
    )


def _figures(folder: FailureFolder, record: FailureRecord) -> str:
    """Mean, expected share of wrong pixels, then the classes, the worst first."""
    colours = dict(zip(folder.classes, class_colours(folder.classes), strict=True))
    mean = "no class predicted" if record.mean is None else _percent(record.mean)
    items = [
        f"estimated mean {folder.overlap} <b>{mean}</b>",
        f"expected wrong pixels <b>{_percent(record.wrong)}</b>",
    ]
    items += [
        f'<span class="swatch" style="background:rgb{colours[name]}"></span>{escape(name)} '
        f"<b>{_percent(value)}</b>"
        for name, value in sorted(record.by_class.items(), key=lambda entry: entry[1])
        if name in colours
    ]
    return "".join(f"<li>{item}</li>" for item in items)


def _link(folder: FailureFolder, kind: str, picture: Path) -> str:
    return quote(folder.path(kind, picture).relative_to(folder.out).as_posix(), errors="surrogateescape")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
