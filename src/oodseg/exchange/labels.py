"""One image with what a pipeline found, or a person outlined, in it: what every format writes and reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from oodseg.core.coco import CATEGORY
from oodseg.core.objects import OodObject

IGNORED = "ignore"
"""The label of what does not count: neither an unknown object nor ordinary street."""


@dataclass(frozen=True)
class LabelledImage:
    """One image with its objects.

    Attributes:
        name: Path of the image within its collection, with `/` and its suffix; unique there.
        height: Rows of the image.
        width: Columns of the image.
        objects: The unknown objects; those that a person drew have a confidence of 1.
        ignored: What does not count when figures are measured against these labels.
        path: Where the image lies; None if that is not known.
    """

    name: str
    height: int
    width: int
    objects: tuple[OodObject, ...] = ()
    ignored: tuple[OodObject, ...] = field(default=(), repr=False)
    path: Path | None = field(default=None, repr=False)

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).with_suffix("").as_posix()

    def labelled(self) -> Iterator[tuple[str, OodObject]]:
        """Yields every object with its label, `"unknown"` or `"ignore"`."""
        yield from ((CATEGORY, each) for each in self.objects)
        yield from ((IGNORED, each) for each in self.ignored)

    @classmethod
    def from_labelled(
        cls,
        name: str,
        height: int,
        width: int,
        labelled: Iterable[tuple[str, OodObject]],
        path: Path | None = None,
    ) -> LabelledImage:
        """Sorts objects by their labels: all but `"ignore"` name something unknown.

        Raises:
            ValueError: A mask of another size than the image.
        """
        labelled = list(labelled)
        for label, each in labelled:
            if tuple(each.rle["size"]) != (height, width):
                rows, columns = each.rle["size"]
                raise ValueError(
                    f"a mask of {name}, '{label}', is {columns}x{rows} in place of {width}x{height}"
                )
        pairs = [(label.strip().lower() == IGNORED, each) for label, each in labelled]
        return cls(
            name,
            height,
            width,
            tuple(each for ignored, each in pairs if not ignored),
            tuple(each for ignored, each in pairs if ignored),
            path,
        )
