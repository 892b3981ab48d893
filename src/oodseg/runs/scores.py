"""Score maps of a folder, computed elsewhere, in place of a pipeline's detector."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from oodseg.io.score_files import ScoreFiles
from oodseg.io.scoremaps import fit_normalizer
from oodseg.runs.items import Item, Source


class ScoreFolder:
    """Score maps of a folder with the statistics that make them comparable.

    Args:
        folder: Holds one map per image, named like it (`oodseg.io.scoremaps`).
        source: The images.

    Attributes:
        normalizer: Brings them to one scale; fitted on the whole folder.

    Raises:
        ScoreMapError: No such folder, or no usable map in it.
    """

    def __init__(self, folder: str | os.PathLike[str], source: Source) -> None:
        self._files = ScoreFiles(folder)
        self.normalizer = fit_normalizer(folder)
        known = source.items if isinstance(source.items, Sequence) else []
        self._stems = Counter(item.path.stem for item in known if item.path is not None)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON-able: what the results depend on."""
        mean, std = self.normalizer.mean, self.normalizer.std
        return {"folder": str(self._files.folder.absolute()), "mean": mean, "std": std}

    def find(self, item: Item) -> Path:
        """The map of an image: by its name in the run, else by its stem if no other image has that.

        Raises:
            ScoreMapError: There is none, or several.
        """
        names = [item.key]
        if item.path is not None:
            names.append(str(PurePosixPath(item.key).with_name(item.path.stem)))
            if self._stems[item.path.stem] == 1:
                names.append(item.path.stem)
        return self._files.find(*names)
