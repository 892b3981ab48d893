"""The file `run.json`, by which a folder is known to hold the results of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUN_FILE = "run.json"


def results_in(folder: Path) -> frozenset[str]:
    """Names the files and folders that a run has written into a folder; none where there was no run."""
    found = read_run_file(folder)
    return frozenset([RUN_FILE, *map(str, found["results"])]) if found else frozenset()


def read_run_file(folder: Path) -> dict[str, Any]:
    """Reads what a run says of its folder: `verb`, `oodseg`, `settings` and `results`; empty without a run.

    A `run.json` that some other program wrote counts as none.
    """
    try:
        found = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(found, dict) and "oodseg" in found and isinstance(found.get("results"), list)
    ours = ours and isinstance(found.get("settings") or {}, dict)
    return found if ours else {}
