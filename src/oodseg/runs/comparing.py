"""Before and after: what two pipelines make of mined objects, of rejected things and of ordinary images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError
from oodseg.core.files import write_bytes, write_json
from oodseg.core.objects import OodObject
from oodseg.core.progress import Progress, silent
from oodseg.data.mined import MinedThing, read_mined
from oodseg.io.discovery import find_images
from oodseg.metrics.sign_test import sign_test
from oodseg.runs.loading import load

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

FOUND = 0.5
"""Intersection over union from which a thing counts as found."""

CHANCE = 0.05
"""Differences that chance makes more often than this are called neither better nor worse (`sign_test`)."""

CLEAR = (
    "Better and worse: clearly so, as chance alone makes such a difference in fewer than one of twenty "
    "comparisons (sign test over things, or images)."
)
"""What the verdicts mean."""


@dataclass(frozen=True)
class Figure:
    """One figure of both pipelines.

    Attributes:
        name: What is counted.
        before: Of the first pipeline.
        after: Of the second.
        of: How many there are.
        good: Whether more is better.
        unit: What `of` counts, where that is something else, in the singular.
        risen: Things, or images, whose own figure is higher after.
        fallen: Those whose own is lower.
    """

    name: str
    before: int
    after: int
    of: int
    good: bool
    unit: str = ""
    risen: int = 0
    fallen: int = 0

    @property
    def total(self) -> str:
        """`of`, with its unit."""
        return f"{self.of} {self.unit}{'' if self.of == 1 else 's'}" if self.unit else str(self.of)

    @property
    def verdict(self) -> str:
        """`"better"`, `"worse"`, `"same"`, or `"too close to tell"` where it may be chance."""
        if self.before == self.after:
            return "same"
        if sign_test(self.risen, self.fallen) > CHANCE:
            return "too close to tell"
        return "better" if (self.after > self.before) == self.good else "worse"


@dataclass
class Comparison:
    """The result of a comparison.

    Attributes:
        before: The first pipeline's name.
        after: The second's.
        figures: What was counted.
        gained: Mined objects that only the second found.
        lost: Mined objects that only the first found.
        files: What was written.
    """

    before: str
    after: str
    figures: list[Figure] = field(default_factory=list)
    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def compare(
    before: str | os.PathLike[str] | Callable[..., Prediction],
    after: str | os.PathLike[str] | Callable[..., Prediction],
    out: str | os.PathLike[str] = "oodseg-results/compare",
    *,
    objects: Sequence[str | Path] = (),
    negatives: Sequence[str | Path] = (),
    ordinary: Sequence[str | Path] = (),
    device: str = "auto",
    progress: Progress | None = None,
) -> Comparison:
    """Compares two pipelines on what was mined, and writes `comparison.json` and `comparison.md`.

    Args:
        before: Bundled name, folder, or a pipeline: the one that the things were mined with.
        after: Likewise: the one that was trained on them.
        out: Folder for the report.
        objects: Sources of unknown objects, as `oodseg.data.mined.read_mined` takes them.
        negatives: Sources of things that were wrongly found.
        ordinary: Images, folders or patterns in which nothing is unknown.
        device: Where named pipelines run.
        progress: Told after every image.

    Raises:
        ConfigError: Nothing to compare on.
        DatasetError: A source that cannot be used.
        OodsegError: A pipeline that cannot be loaded, an image that cannot be read, or a report that cannot
            be written.
    """
    if not (objects or negatives or ordinary):
        raise ConfigError("there is nothing to compare on: give --objects, --negatives or --ordinary")
    wanted, rejected = read_mined(objects, "keep"), read_mined(negatives, "reject")
    images = find_images([os.fspath(each) for each in ordinary]) if ordinary else []
    counts = []
    for title, pipeline in (("before", before), ("after", after)):
        settings = None if isinstance(pipeline, str | os.PathLike) else {"pipeline": title}
        s2m, _ = load(pipeline, settings, device=device)
        show = _titled(progress or silent, title)
        boxes = [len(s2m(path).objects) for path in _told(images, "ordinary images", show)]
        counts.append((_found(wanted, s2m, "objects", show), _found(rejected, s2m, "negatives", show), boxes))
    (found, again, boxes), (found_after, again_after, boxes_after) = counts
    result = Comparison(_name(before), _name(after))
    for which, part in (("", None), (", held out of training", True)):
        for name, things, first, second, good in (
            (f"mined objects found{which}", wanted, found, found_after, True),
            (f"rejected things found again{which}", rejected, again, again_after, False),
        ):
            names = {each.name for each in things if part is None or each.held_out}
            if names:
                one, two = first & names, second & names
                changed = len(two - one), len(one - two)
                result.figures.append(Figure(name, len(one), len(two), len(names), good, "", *changed))
    if images:
        changes = [two - one for one, two in zip(boxes, boxes_after, strict=True)]
        changed = sum(each > 0 for each in changes), sum(each < 0 for each in changes)
        totals = sum(boxes), sum(boxes_after)
        result.figures.append(
            Figure("boxes on ordinary images", *totals, len(images), False, "image", *changed)
        )
    result.gained, result.lost = sorted(found_after - found), sorted(found - found_after)
    _write(result, Path(out))
    return result


def _found(
    things: Sequence[MinedThing], s2m: Callable[..., Prediction], what: str, progress: Progress
) -> set[str]:
    """Names of the things that a pipeline outlines."""
    names: set[str] = set()
    by_image = [
        (path, list(each)) for path, each in groupby(sorted(things, key=_path), key=lambda each: each.path)
    ]
    for path, there in _told(by_image, what, progress):
        objects = s2m(path).objects
        names |= {each.name for each in there if overlaps(each.found, objects)}
    return names


def overlaps(thing: OodObject, objects: Sequence[OodObject], least: float = FOUND) -> bool:
    """Tells whether one of the objects covers a thing: intersection over union of at least `least`."""
    from pycocotools import mask as rle_tools

    alike = [each.rle for each in objects if list(each.rle["size"]) == list(thing.rle["size"])]
    return bool(alike) and bool(rle_tools.iou(alike, [thing.rle], [0]).max() >= least)


def _write(result: Comparison, out: Path) -> None:
    rows = [
        f"| {each.name} | {each.before} | {each.after} | {each.total} | {each.verdict} |"
        for each in result.figures
    ]
    text = [
        "# Before and after",
        "",
        f"before: `{result.before}`, after: `{result.after}`",
        "",
        "Found: outlined with an intersection over union of at least one half. The rows without `held out` "
        f"count all, also what was held out of training. {CLEAR}",
        "",
        "| | before | after | of | |",
        "|---|---|---|---|---|",
        *rows,
    ]
    for title, names in (("Found now", result.gained), ("Not found any more", result.lost)):
        if names:
            text += ["", f"## {title}", "", *(f"- {name}" for name in names)]
    table, data = out / "comparison.md", out / "comparison.json"
    write_bytes(table, ("\n".join(text) + "\n").encode("utf-8", "replace"))
    figures = [asdict(each) | {"verdict": each.verdict} for each in result.figures]
    write_json(data, asdict(result) | {"figures": figures, "files": None}, indent=1)
    result.files = [table, data]


def _told(items: Sequence[Any], what: str, progress: Progress) -> Iterator[Any]:
    for number, each in enumerate(items, start=1):
        yield each
        progress(what, number, len(items))


def _titled(progress: Progress, title: str) -> Progress:
    return lambda stage, done, total: progress(f"{title}: {stage}", done, total)


def _path(thing: MinedThing) -> str:
    return str(thing.path)


def _name(pipeline: Any) -> str:
    return os.fspath(pipeline) if isinstance(pipeline, str | os.PathLike) else type(pipeline).__name__
