"""Says how a missing library is installed, in a way that works for how this package itself was installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PACKAGE = "oodseg"
_WINDOWS = os.name == "nt"


def install_extra(extra: str) -> str:
    """Returns the command that adds an extra of this package to the environment at hand.

    From a clone or a folder it names that folder, from a wheel file that file, from a repository its address
    and commit, as `direct_url.json` recorded them (PEP 610). A package that came from an index has no such
    record, and its name is enough.

    Args:
        extra: Name of the extra: `"hdf5"`.
    """
    return f"{_installer()} {_target(extra)}"


def install_package(*requirements: str) -> str:
    """Returns the command that installs other packages into the environment at hand.

    Args:
        requirements: Names, with versions where these matter: `"pillow>=11.3"`.
    """
    return f"{_installer()} {' '.join(map(_quoted, requirements))}"


def _installer() -> str:
    """`pip install`, or what stands for it where the environment has no pip or is not the one on the path."""
    found = shutil.which("python")
    here = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    if find_spec("pip") is not None:
        return "pip install" if here else f"{_quoted(sys.executable)} -m pip install"
    return "uv pip install" if here else f"uv pip install --python {_quoted(sys.executable)}"


def _target(extra: str) -> str:
    try:
        source = _direct_url(distribution(_PACKAGE))
    except PackageNotFoundError:
        # Run from the files of a clone that were never installed.
        root = Path(__file__).parents[3]
        found = f"-e {_quoted(f'{root}[{extra}]')}" if (root / "pyproject.toml").is_file() else None
        return found or _quoted(f"{_PACKAGE}[{extra}]")
    url = str(source.get("url", ""))
    if "vcs_info" in source:
        vcs = source["vcs_info"]
        return _quoted(f"{_PACKAGE}[{extra}] @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}")
    if url.startswith("file:"):
        from urllib.request import url2pathname  # brings an HTTP client

        path = url2pathname(urlsplit(url).path)
        if Path(path).exists():
            editable = "-e " if source.get("dir_info", {}).get("editable") else ""
            return editable + _quoted(f"{path}[{extra}]")
        return " ".join(map(_quoted, _libraries(extra)))
    return _quoted(f"{_PACKAGE}[{extra}] @ {url}" if url else f"{_PACKAGE}[{extra}]")


def _direct_url(package: Distribution) -> dict[str, Any]:
    try:
        found = json.loads(package.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _libraries(extra: str) -> list[str]:
    """Lists what an extra stands for, for a package whose own file is gone."""
    found: list[str] = []
    for line in distribution(_PACKAGE).requires or []:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        if marker.replace('"', "'") != f"extra == '{extra}'":
            continue
        if requirement.startswith(f"{_PACKAGE}["):
            inner = requirement.removeprefix(f"{_PACKAGE}[").rstrip("]").split(",")
            found += [library for each in inner for library in _libraries(each.strip())]
        else:
            found.append(requirement)
    return found


def _quoted(word: str) -> str:
    return f'"{word}"' if _WINDOWS else shlex.quote(word)
