"""The contract of a labelling tool's format, and what all formats have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodseg.core.errors import DatasetError, ImageError
from oodseg.core.files import is_hidden
from oodseg.core.texts import read_text
from oodseg.exchange.labels import LabelledImage

_LONGEST = 200  # characters of a fault in a message


def in_images(name: str) -> str:
    """Returns the path at which most tools want an image: in `images/`."""
    return f"images/{name}"


@dataclass(frozen=True)
class Format:
    """One format of labels on disk.

    Attributes:
        title: What people call it.
        shape: The files that make it recognisable, for people.
        write: Writes labels below a folder, each image as it comes; returns what the format could not hold,
            one sentence each.
        read: Reads all labels below a folder.
        matches: Whether a folder holds labels of this format.
        place: Where an image of that name lies, from the folder of the labels; None where none belong there.
        submission: Whether it is for the server of a benchmark: predictions, which are never ground truth.
        files: The files below a folder that hold the labels of one image each; None where one file holds all.
    """

    title: str
    shape: str
    write: Callable[[Iterable[LabelledImage], Path], list[str]]
    read: Callable[[Path], list[LabelledImage]]
    matches: Callable[[Path], bool]
    place: Callable[[str], str] | None = in_images
    submission: bool = False
    files: Callable[[Path], Iterable[Path]] | None = None


def any_case(pattern: str) -> str:
    """Returns a pattern whose suffix may be in small letters or in capitals."""
    stem, dot, suffix = pattern.rpartition(".")
    return stem + dot + "".join(f"[{each.lower()}{each.upper()}]" for each in suffix)


def visible(paths: Iterable[Path]) -> Iterator[Path]:
    """Leaves out hidden files and those that operating systems leave: `._NAME`, `Thumbs.db`."""
    return (path for path in paths if not is_hidden(path.name))


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns whatever goes wrong while labels are parsed into one sentence.

    Args:
        path: The file.
        what: What it should be, such as `"annotations of CVAT"`.

    Raises:
        DatasetError: It cannot be read, or is something else.
    """
    try:
        yield
    except (ImageError, OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # decoders of masks raise others
            fault = f"{path} cannot be read ({error.strerror})"
            raise DatasetError(f"{fault}: check the path and its permissions") from error
        fault = f"{type(error).__name__} {error}" if isinstance(error, KeyError | TypeError) else str(error)
        if len(fault) > _LONGEST:  # as where a mask, encoded as text, stands in place of a number
            fault = f"{fault[:_LONGEST]}..."
        raise DatasetError(f"{path} holds no {what} ({fault}): export it from the tool again") from error


def load_json(path: Path) -> Any:
    """Loads a JSON file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no JSON.
    """
    return json.loads(read_text(path))


def peek_json(path: Path) -> Any:
    """Loads a JSON file, None if that cannot be done."""
    try:
        return load_json(path)
    except (OSError, ValueError):
        return None
