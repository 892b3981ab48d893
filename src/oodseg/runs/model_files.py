"""Fingerprints the models that a pipeline names and does not hold, so that a changed one is noticed.

The configuration of a saved pipeline has checksums of its own weights. A part such as `sam:FOLDER` or
`segformer:owner/name+energy` has its weights elsewhere, where they can change without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oodseg.core.fingerprint import hash_file, hash_json

# Arguments of parts that are a file, a folder or a hub id by themselves; others may be words with a colon.
_SOURCES = {"source", "weights", "classes"}
_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def model_files(*specs: Any) -> dict[str, str]:
    """Fingerprints the files, folders and cached hub models that specs name.

    Args:
        specs: What `oodseg.core.spec` reads, or descriptions of parts (`oodseg.core.parts.describe`).

    Returns:
        By what is named: a checksum of the contents, or the commit of a model from the hub. What is neither
        on disk nor in the hub's cache is left out.
    """
    found: dict[str, str] = {}
    for spec in specs:
        for name, revision in _named(spec, "", None):
            known = _fingerprint(name, revision)
            if known is not None:
                found[name] = known
    return found


def _named(value: Any, key: str, revision: str | None) -> Iterator[tuple[str, str | None]]:
    """Yields the sources that a spec names, with the revision asked for."""
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _named(each, str(inner), value.get("revision"))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _named(each, key, revision)
    elif isinstance(value, str | Path) and key != "name":
        text = str(value) if key in _SOURCES else str(value).partition(":")[2]
        while text:  # `everything:mask2former:FOLDER` has two colons, `segformer:FOLDER+energy` a score
            yield text, revision
            if "+" in text:
                yield text.rpartition("+")[0], revision
            text = text.partition(":")[2]


def _fingerprint(name: str, revision: str | None) -> str | None:
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            files = [each for each in path.iterdir() if each.is_file() and not each.name.startswith(".")]
            return hash_json({each.name: hash_file(each) for each in files})
        if path.is_file():
            # The weights of a large ONNX file lie beside it: `model.onnx.data`.
            files = [each for each in path.parent.iterdir() if each.name.startswith(path.name)]
            return hash_json({each.name: hash_file(each) for each in files if each.is_file()})
    except OSError:  # what needs the file says so
        return None
    return _commit(name, revision) if _ID.fullmatch(name) else None


def _commit(name: str, revision: str | None) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else None
