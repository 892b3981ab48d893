"""Names the files of a run's inputs, so that no two inputs share one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from oodseg.core.errors import ConfigError
from oodseg.core.files import shorten_name

_SUFFIX = len(".json")  # the longest that is added to a name


def common_folder(paths: Iterable[Path]) -> Path:
    """Finds the lowest folder that all files, given by absolute paths, lie in or below.

    Raises:
        ConfigError: They lie on several drives.
    """
    parents = [path.parent for path in paths]
    try:
        return Path(os.path.commonpath(parents)) if parents else Path.cwd()
    except ValueError:
        raise ConfigError("the images lie on several drives: run once for every drive") from None


def output_names(paths: Sequence[Path], root: Path | None = None) -> tuple[Path, dict[Path, PurePath]]:
    """Gives every file an output name of its own.

    That is its path below the folder common to all, without the suffix; files that differ in nothing but the
    suffix (or in case, which some file systems do not tell apart) keep it: `a.jpg.png`, `a.png.png`. A name
    so long that no suffix fits is cut.

    Args:
        paths: Each once.
        root: Folder, absolute, that all of them lie in or below; None for the lowest one.

    Returns:
        That folder, and the name of every file.

    Raises:
        ConfigError: The files lie on several drives.
    """
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    root = common_folder(absolute.values()) if root is None else root
    full = {path: PurePath(each.relative_to(root)) for path, each in absolute.items()}
    short = {path: name.with_suffix("") for path, name in full.items()}
    times = Counter(str(name).casefold() for name in short.values())
    names = {path: name if times[str(name).casefold()] == 1 else full[path] for path, name in short.items()}
    # `a.jpg`, `a.png` and `a.jpg.png` side by side: only full names tell them apart.
    unique = names if len(set(names.values())) == len(names) else full
    return root, {path: name.with_name(shorten_name(name.name, _SUFFIX)) for path, name in unique.items()}
