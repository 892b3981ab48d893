"""Writes the list of a run of a failure detector: `failures.json`, `failures.csv` and `index.html`."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from oodseg.core.files import write_bytes, write_json
from oodseg.report.failure_gallery import render
from oodseg.report.failure_list import FailureList

JSON_FILE, CSV_FILE, PAGE_FILE = "failures.json", "failures.csv", "index.html"


def write_failures(listed: FailureList, out: str | os.PathLike[str]) -> Path:
    """Writes list and gallery; returns the gallery's path.

    Args:
        listed: What was found.
        out: Folder that the entries' files lie in.

    Raises:
        OodsegError: A file cannot be written.
    """
    folder = Path(out)
    write_list(listed, folder)
    write_bytes(folder / CSV_FILE, _table(listed).encode("utf-8", "backslashreplace"))
    write_bytes(folder / PAGE_FILE, render(listed).encode("utf-8", "xmlcharrefreplace"))
    return folder / PAGE_FILE


def write_list(listed: FailureList, folder: Path) -> None:
    """Writes the list alone, as JSON.

    Raises:
        OodsegError: The file cannot be written.
    """
    write_json(folder / JSON_FILE, _document(listed), indent=1)


def _document(listed: FailureList) -> dict[str, Any]:
    word = listed.measure.lower()
    rows = [
        {
            "rank": number,
            "file_name": entry.name,
            f"estimated_mean_{word}": entry.record.mean,
            f"mean_{listed.interval_measure.lower()}_interval": entry.record.interval,
            f"estimated_{word}": dict(entry.record.by_class),
            "predicted_pixels": dict(entry.record.pixels),
            "expected_wrong_share": entry.record.wrong,
            "files": dict(entry.files),
        }
        for number, entry in enumerate(listed.entries, start=1)
    ]
    failures = [{"file_name": name, "reason": reason} for name, reason in listed.failures.items()]
    document = {"info": dict(listed.info), "images": rows, "failures": failures}
    return document if listed.measured is None else {**document, "measured": listed.measured.document()}


def _table(listed: FailureList) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [name for name in listed.classes if any(name in each.record.by_class for each in listed.entries)]
    word = listed.measure.lower()
    of = f"mean_{listed.interval_measure.lower()}"
    ends = [f"{of}_low", f"{of}_high"] if listed.promise else []
    writer.writerow(
        ["rank", "file_name", f"estimated_mean_{word}", *ends, "expected_wrong_share"]
        + [f"{word}_{name}" for name in names]
    )
    for number, entry in enumerate(listed.entries, start=1):
        record = entry.record
        interval = record.interval or (None, None) if ends else ()
        values = [record.mean, *interval, record.wrong, *(record.by_class.get(name) for name in names)]
        writer.writerow([number, entry.name, *("" if each is None else f"{each:.4f}" for each in values)])
    return out.getvalue()
