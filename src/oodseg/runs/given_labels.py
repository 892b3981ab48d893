"""Labels of images that were made elsewhere, to be judged: paired with the images by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.core.files import composed, is_system_file
from oodseg.core.fingerprint import file_identity
from oodseg.core.progress import Progress, silent
from oodseg.core.taxonomy import IGNORE
from oodseg.io.labels import LABEL_SUFFIXES, read_label
from oodseg.runs.items import Item, Source

_LOSSY = frozenset({".jpg", ".jpeg"})  # pictures of labels, where there are labels beside them
_OTHER = "other"
VOID = "void"  # the class of codes that are not judged
_LOST = -1


class GivenLabelFiles:
    """A folder of label images, named like the images.

    Args:
        folder: Where they lie.
        source: The images.
        names: Class of every code; empty if the codes are the classes' numbers, or classes by themselves. The
            code 255 is void unless it has a name, and so is every code called `"void"`: they are not judged.

    Raises:
        ConfigError: No such folder, or images that are no files.
    """

    def __init__(self, folder: str | os.PathLike[str], source: Source, names: Mapping[int, str]) -> None:
        self._folder, self._names = Path(folder), dict(names)
        self._read: dict[Path, set[int]] | None = None
        if not self._folder.is_dir():
            raise ConfigError(f"the folder of labels {self._folder} does not exist: check the path")
        if not isinstance(source.items, Sequence) or any(item.path is None for item in source.items):
            raise ConfigError("stored labels are judged beside images that are files: name these")
        self._items: Sequence[Item] = source.items
        paths = [item.path for item in self._items if item.path is not None]
        # How many images share a name: labels by that name would be those of one of them.
        self._twins = Counter(path.with_suffix("") for path in paths)
        self._stems = Counter(composed(path.stem) for path in paths)
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(self._folder.rglob("*")):
            if path.suffix.lower() in LABEL_SUFFIXES and path.is_file() and not is_system_file(path.name):
                key = path.relative_to(self._folder).with_suffix("").as_posix()
                self._by_name.setdefault(composed(key), []).append(path)

    @property
    def settings(self) -> dict[str, object]:
        """JSON-able: what tells these labels from others, besides the files."""
        named = {str(code): name for code, name in self._names.items()}
        return {"predictions": os.path.abspath(self._folder), "codes": named}

    def find(self, item: Item) -> Path:
        """Finds the labels of an image: by its path below the images' folder, else by its stem.

        Raises:
            ImageError: There are none, or several.
        """
        stem = "" if item.path is None else composed(item.path.stem)
        names = [item.key]
        if item.path is not None and self._twins[item.path.with_suffix("")] < 2:
            names.append(str(PurePosixPath(item.key).with_name(stem)))
            names += [stem] if self._stems[stem] < 2 else []
        for name in names:
            found = self._by_name.get(composed(name), [])
            found = [path for path in found if path.suffix.lower() not in _LOSSY] or found
            if len(found) == 1:
                return found[0]
            if found:
                listed = ", ".join(path.name for path in found)
                raise ImageError(f"{self._folder} holds several labels of {item.name} ({listed}): keep one")
        known = ", ".join(sorted(LABEL_SUFFIXES - _LOSSY))
        raise ImageError(f"{self._folder} holds no labels named '{names[-1]}' ({known})")

    def classes(self, progress: Progress | None = None) -> list[str]:
        """Names the classes for a judge that has none of its own; without names every code but 255 is one.

        Raises:
            DatasetError: They hold more codes than 255.
        """
        if self._names:
            named = [name for name in self._names.values() if name != VOID]
            return [*dict.fromkeys(named), _OTHER]
        found = set().union(*self._codes(progress).values()) - {IGNORE}
        if len(found) > IGNORE:
            raise DatasetError(
                f"the labels in {self._folder} hold {len(found)} codes: are these labels of classes? Name "
                "those that count with --class NAME=CODE"
            )
        self._names = {code: f"class {code}" for code in sorted(found)}
        return list(self._names.values())

    def check(self, classes: Sequence[str], progress: Progress | None = None) -> str | None:
        """Checks the codes of all labels, before anything is judged.

        Args:
            classes: The judge's.
            progress: Told after every label.

        Returns:
            How many images have void pixels, in a sentence; None if none has.

        Raises:
            DatasetError: A code that is no class.
        """
        table = self._table(classes)
        held = self._codes(progress)
        for path, codes in held.items():
            for code in codes:
                if table[code] == _LOST:
                    raise DatasetError(self._lost(path, code, classes))
        void = sum(any(table[code] == IGNORE for code in codes) for codes in held.values())
        of = f"the labels of {void} of {len(self._items)} images"
        return f"{of} hold void pixels, which are not judged" if void else None

    def _codes(self, progress: Progress | None) -> dict[Path, set[int]]:
        """The codes in every label that can be read; of the others it is said when their turn comes."""
        if self._read is None:
            self._read = {}
            for number, item in enumerate(self._items, start=1):
                with suppress(ImageError, DatasetError):
                    path = self.find(item)
                    self._read[path] = set(np.unique(read_label(path)).tolist())
                (progress or silent)("reading labels", number, len(self._items))
        return self._read

    def beside(self, source: Source, classes: Sequence[str]) -> Source:
        """Gives every image its labels, as indices into a judge's classes.

        Raises:
            ConfigError: A name that is no class.
        """
        for name in self._names.values():
            if name not in (*classes, VOID):
                raise ConfigError(f"the detector knows no class '{name}': choose among {', '.join(classes)}")
        items = [self._with_labels(item, classes) for item in self._items]
        return replace(source, items=items)

    def _with_labels(self, item: Item, classes: Sequence[str]) -> Item:
        def labels() -> NDArray[np.uint8]:
            path = self.find(item)
            try:
                codes = read_label(path)
            except DatasetError as error:
                raise ImageError(str(error)) from error
            return self._indices(codes, classes, path)

        def identity() -> list[object]:
            return [*item.identity(), file_identity(self.find(item))]

        return replace(item, labels=labels, identity=identity)

    def _indices(self, codes: NDArray[np.uint16], classes: Sequence[str], path: Path) -> NDArray[np.uint8]:
        found = self._table(classes)[codes]
        if (found == _LOST).any():  # the label has changed since it was checked
            raise DatasetError(self._lost(path, int(codes[found == _LOST][0]), classes))
        return found.astype(np.uint8)

    def _table(self, classes: Sequence[str]) -> NDArray[np.int16]:
        """Index of the class of every code, 255 of what is void."""
        rest = classes.index(_OTHER) if _OTHER in classes else _LOST
        table = np.full(1 << 16, rest, np.int16)
        if len(classes) <= IGNORE:
            table[IGNORE] = IGNORE
        for code, name in (self._names or dict(enumerate(classes))).items():
            table[code] = classes.index(name) if name in classes else IGNORE
        return table

    def _lost(self, path: Path, code: int, classes: Sequence[str]) -> str:
        listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
        return (
            f"{path} holds the code {code}, but the detector knows {listed}: say which code is which class, "
            f"e.g. --class '{classes[0]}=CODE' (every code needs a class, and several may have the same; "
            f"{IGNORE}, and what you call {VOID}, is not judged)"
        )
