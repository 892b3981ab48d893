"""Writes the results of an evaluation: `results.json`, `.csv` and `.md`, and `report.html`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from oodseg.core.files import write_bytes, write_json
from oodseg.evaluation import Evaluation
from oodseg.evaluation.results import jsonable
from oodseg.metrics.s2m import Preset
from oodseg.report.page import render
from oodseg.report.published import published_rows
from oodseg.report.tables import build_rows, to_csv, to_markdown


def write_results(
    evaluations: Sequence[Evaluation],
    out: str | os.PathLike[str],
    preset: Preset = "code",
    *,
    published: bool = True,
    report: bool = True,
) -> list[Path]:
    """Writes the files atomically and returns their paths.

    Args:
        evaluations: One per set.
        out: Folder; made if missing.
        preset: Which S2M preset the table and the page show; `results.json` holds both.
        published: Whether to list published rows beside ours.
        report: Whether to write the page.

    Raises:
        OodsegError: A file cannot be written.
    """
    folder = Path(out)
    rows = build_rows(evaluations, preset, published)
    record = {
        "preset": preset,
        "datasets": [found.to_dict() for found in evaluations],
        "published": [
            {
                "method": row.method,
                "benchmark": row.benchmark,
                "split": row.split,
                "source": row.source,
                "figures": {f"{family}.{name}": value for (family, name), value in row.figures.items()},
            }
            for found in evaluations
            for row in (published_rows(found.dataset.benchmark) if published else ())
        ],
    }
    write_json(folder / "results.json", jsonable(record), indent=1)
    write_bytes(folder / "results.csv", to_csv(rows, preset).encode())
    write_bytes(folder / "results.md", to_markdown(rows, preset).encode())
    written = [folder / f"results.{suffix}" for suffix in ("json", "csv", "md")]
    if report:
        write_bytes(folder / "report.html", render(evaluations, rows, preset).encode())
        written.append(folder / "report.html")
    return written
