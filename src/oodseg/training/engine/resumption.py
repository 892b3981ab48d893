"""Tells whether earlier work in a folder still holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oodseg.core.files import write_json

_SETTINGS = "depends_on.json"


def has_settings(folder: Path) -> bool:
    """Tells whether `goes_on` decides for the work in a folder."""
    return (folder / _SETTINGS).is_file()


def goes_on(folder: Path, settings: Any) -> bool:
    """Tells whether the work in a folder can go on where it stopped: its settings are unchanged.

    Notes the settings for the next time.

    Args:
        folder: Folder of the work.
        settings: Everything that it depends on except its length, JSON-able.
    """
    path = folder / _SETTINGS
    wanted = json.loads(json.dumps(settings))
    same = path.is_file() and json.loads(path.read_text(encoding="utf-8")) == wanted
    write_json(path, wanted)
    return same
