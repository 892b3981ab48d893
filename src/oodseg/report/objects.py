"""Writes what a run of the pipeline has found, for people: `index.html` and `objects.csv`."""

from __future__ import annotations

import os
from pathlib import Path

from oodseg.core.files import write_bytes
from oodseg.report.object_list import ObjectList, to_csv
from oodseg.report.object_page import render

CSV_FILE, PAGE_FILE = "objects.csv", "index.html"


def write_objects(listed: ObjectList, out: str | os.PathLike[str]) -> Path:
    """Writes table and page; returns the page's path.

    Args:
        listed: What was found.
        out: Folder that the entries' files lie in.

    Raises:
        OodsegError: A file cannot be written.
    """
    folder = Path(out)
    write_bytes(folder / CSV_FILE, to_csv(listed.entries).encode("utf-8", "backslashreplace"))
    write_bytes(folder / PAGE_FILE, render(listed).encode("utf-8", "xmlcharrefreplace"))
    return folder / PAGE_FILE
