"""Says where files lie that are made once and can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the folder for files that can be made again; it may not exist yet.

    That is `OODSEG_CACHE` of the environment, or `oodseg` in `XDG_CACHE_HOME`, or `~/.cache/oodseg`.
    """
    own = os.environ.get("OODSEG_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oodseg"
