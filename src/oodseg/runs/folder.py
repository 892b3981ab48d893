"""Chooses the folder of a run, so that none ever loses the results of another.

A folder holds what one verb has found under one set of settings. Further inputs join those that are there,
under names and numbers that never change; results of other settings, or of another image of the same name,
are refused, or go to a folder of their own where none was named: `oodseg-results`, `oodseg-results/2`, ...
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Generic

from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.run_file import RUN_FILE, read_run_file
from oodseg.core.version import __version__
from oodseg.runs.items import Item, Source
from oodseg.runs.naming import common_folder, output_names
from oodseg.runs.store import Plan, RecordT, RunStore, Stored, taken

_LONGEST = 60  # characters of a value in a message


@dataclass(frozen=True)
class OpenRun(Generic[RecordT]):
    """A folder that is ready for results.

    Attributes:
        store: What it holds.
        source: The inputs, under the keys and names that they have there.
        note: Why it is another folder than the usual one; None if it is not.
    """

    store: RunStore[RecordT]
    source: Source
    note: str | None = None


def open_run(
    plan: Plan[RecordT],
    source: Source,
    out: str | os.PathLike[str] | None,
    default: str,
    check: Callable[[Source], None] | None = None,
) -> OpenRun[RecordT]:
    """Opens a folder for results.

    Args:
        plan: What is to be written.
        source: The inputs.
        out: The folder; None for the first of `default`, `default/2`, `default/3`, ... that holds no other
            results.
        default: The usual folder.
        check: Is shown the inputs as they are called in the folder, before anything there is touched; what it
            raises, which is no `ConfigError`, ends the run.

    Raises:
        ConfigError: `out` is a file, or holds files of another program, of another verb, results of other
            settings, or of other images of the same names.
        OodsegError: The folder cannot be written.
    """
    if out is not None:
        return _open(plan, source, Path(out), check)
    first: ConfigError | None = None
    for folder in numbered_folders(Path(default)):
        try:
            found = _open(plan, source, folder, check, keep=True)
        except ConfigError as error:
            first = first or error
            continue
        if first is None:
            return found
        fault = str(first).partition(": choose ")[0]
        return replace(found, note=f"{fault}; so these results are in {folder}")
    raise AssertionError("numbers do not end")


def numbered_folders(default: Path) -> Iterator[Path]:
    """Lists the folders that a run without a name may go to: `default`, `default/2`, `default/3`, ..."""
    yield default
    for number in count(2):
        yield default / str(number)


@contextmanager
def undone_if_refused(store: RunStore[RecordT], begun: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Leaves nothing behind where a run is refused in the block before it has any result.

    Args:
        store: Of the run.
        begun: Tells whether there are results of which the store does not know.
    """
    try:
        yield
    except OodsegError:
        if not begun():
            store.abandon()
        raise


def _open(
    plan: Plan[RecordT],
    source: Source,
    folder: Path,
    check: Callable[[Source], None] | None,
    keep: bool = False,
) -> OpenRun[RecordT]:
    """Opens one folder.

    Args:
        plan: See `open_run`.
        source: Likewise.
        folder: The folder.
        check: See `open_run`.
        keep: Whether other results stay even in a fresh run.
    """
    if os.path.exists(folder) and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: choose a folder for the results")
    about = read_run_file(folder)
    verb, listed = about.get("verb", plan.verb), list(map(str, about.get("results", ())))
    foreign = next((name for name in plan.results if name not in listed and (folder / name).exists()), None)
    if foreign is not None or verb != plan.verb:
        fault = f"{folder} holds results of `oodseg {verb}`"
        if foreign is not None:
            fault = f"{folder / foreign} was not written by `oodseg {plan.verb}`"
            if not about and (folder / RUN_FILE).exists():
                fault = f"{folder / RUN_FILE} is damaged, so nothing says what {foreign} beside it belongs to"
        raise ConfigError(f"{fault}: choose another folder (--out)")
    changes = _changes(about, plan.settings) if about else []
    replaces = plan.fresh and not keep
    if changes and not replaces:
        raise ConfigError(
            f"{folder} holds results of other settings ({'; '.join(changes)}): choose another folder "
            "(--out), or let them go (--overwrite)"
        )
    store = RunStore(folder, plan)
    items = source.items
    if isinstance(items, Sequence):
        items = settle(items, {} if changes else store.stored, folder, replaces)
    found = OpenRun(store, replace(source, items=items))
    if check is not None:
        check(found.source)
    store.begin(listed, anew=bool(changes))
    return found


def _changes(about: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Words the differences from the run that wrote a folder."""
    before = {"oodseg": about["oodseg"], **(about.get("settings") or {})}
    # As JSON has it, where there are no tuples.
    now = json.loads(json.dumps({"oodseg": __version__, **settings}))
    return _differences("", before, now)


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if before == now:
        return []
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = dict.fromkeys([*before, *now])
        return [
            each
            for key in keys
            for each in _differences(f"{name} {key}".strip(), before.get(key), now.get(key))
        ]
    old, new = ("none" if each is None else str(each) for each in (before, now))
    if name.startswith("models "):
        return [f"the model {name.removeprefix('models ')} has changed"]
    if "sha256" in name or max(len(old), len(new)) > _LONGEST:
        what = name.removesuffix("_sha256")
        return [f"{'other' if what.endswith('s') else 'another'} {what}"]
    return [f"{name} was {old}, is {new}"]


def settle(
    items: Sequence[Item], known: Mapping[str, Stored[Any]], folder: Path, replaces: bool = False
) -> list[Item]:
    """Gives inputs the keys and names that they have in a folder already, or free ones.

    Args:
        items: The inputs.
        known: By key: what has results there.
        folder: For the message.
        replaces: Whether results of other images under the name of an input may go.

    Raises:
        ConfigError: There are such results.
    """
    by_origin = {each.origin: key for key, each in known.items()}
    by_name = {each.name: key for key, each in known.items()}
    used = {key.casefold() for key in known}
    new = _names(items, [item.path for item in items if item.path and item.origin not in by_origin], known)
    settled = []
    for item in items:
        key, name = item.key, item.name
        if item.path in new:
            name, short = new[item.path]
            # Beside `a.jpg`, whose key is `a`, `a.png` keeps its suffix.
            key = by_name.get(name) or (name if short.casefold() in used else short)
        elif item.path is not None:
            key = by_origin[item.origin]
            name = known[key].name
        holder = known.get(key)
        if holder is not None and holder.origin != item.origin and not replaces:
            raise ConfigError(taken(folder, holder, item))
        used.add(key.casefold())
        settled.append(replace(item, key=key, name=name))
    return settled


def _names(
    items: Sequence[Item], new: Sequence[Path], known: Mapping[str, Stored[Any]]
) -> dict[Path, tuple[str, str]]:
    """Names and keys of new files: their paths below the folder that the names of known files start from."""
    absolute = {path: Path(os.path.abspath(path)) for path in new}
    root = common_root(known.values())
    if root is None or not all(path.is_relative_to(root) for path in absolute.values()):
        root = common_folder(Path(item.origin) for item in items if item.origin)
    keys = output_names(new, root)[1]
    return {
        path: (each.relative_to(root).as_posix(), keys[path].as_posix()) for path, each in absolute.items()
    }


def common_root(stored: Iterable[Stored[Any]]) -> Path | None:
    """Returns the folder that the names of all files start from; None if there is none, or several."""
    roots = {root_of(each) for each in stored if each.origin is not None}
    return roots.pop() if len(roots) == 1 else None


def root_of(stored: Stored[Any]) -> Path | None:
    """Returns the folder that the name of a file starts from; None for an image in memory."""
    if stored.origin is None:
        return None
    return Path(stored.origin).parents[len(PurePosixPath(stored.name).parts) - 1]
