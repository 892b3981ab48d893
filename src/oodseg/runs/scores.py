"""Score maps computed elsewhere, in place of a pipeline's detector, and what is suspicious about them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.core.input_warnings import collect_warnings, warn_input
from oodseg.core.normalization import ScoreNormalizer
from oodseg.io.score_files import ScoreFiles
from oodseg.io.score_statistics import measure_scores, score_maps_in
from oodseg.io.scoremaps import read_score_map
from oodseg.runs.items import Item, Source

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

    Stats = ScoreNormalizer | tuple[float, float] | str | os.PathLike[str]

_FEW = 10  # maps, below which an object in each of them weighs in their statistics
HIGH = 5.0  # standard deviations that unknown objects usually reach
_TRIED = 5  # maps that are tried the other way round


class ScoreMaps:
    """Score maps with the statistics that make them comparable.

    Args:
        place: Folder that holds one map per image, named like it (`oodseg.io.scoremaps`); or one map, for
            one image.
        source: The images.
        stats: Their mean and standard deviation on ordinary images, as numbers or as a folder of such maps;
            None to take those of all maps in `place`, with an `InputWarning` if these look turned round.

    Attributes:
        normalizer: Brings them to one scale.

    Raises:
        ScoreMapError: No such folder or file, or no usable map in it.
        ConfigError: One map for several images, or statistics that are none.
    """

    def __init__(self, place: str | os.PathLike[str], source: Source, stats: Stats | None = None) -> None:
        self._place = Path(place)
        items = source.items if isinstance(source.items, Sequence) else []
        # Under the names of this call: a run's folder may know the images under others.
        self._keys = {item.path: item.key for item in items if item.path is not None}
        self._stems = Counter(path.stem for path in self._keys)
        self._twins = Counter(path.with_suffix("") for path in self._keys)
        self._files = None if self._place.is_file() else ScoreFiles(self._place, self._keys)
        if self._files is None and source.total != 1:
            raise ConfigError(
                f"{self._place} is the score map of one image: give a folder with one map per image"
            )
        maps = [self._place]
        if self._files is not None:
            maps = list(filter(self._files.holds, score_maps_in(self._place))) or score_maps_in(self._place)
        measured = measure_scores(maps)
        if measured.looks_reversed:
            warn_input(
                f"the scores in {self._place} reach {measured.below:.1f} standard deviations below their "
                f"median and only {measured.above:.1f} above it: higher must mean more anomalous, so change "
                "their sign if it is the other way round"
            )
        self._few = measured.maps if stats is None and measured.maps < _FEW else None
        self.normalizer = measured.normalizer if stats is None else read_stats(stats)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON-able: what the results depend on."""
        mean, std = self.normalizer.mean, self.normalizer.std
        return {"folder": str(self._place.absolute()), "mean": mean, "std": std}

    def find(self, item: Item) -> Path:
        """Finds the map of an image: by its name in the run, else by its stem if no other image has that.

        Raises:
            ScoreMapError: There is none, or several.
        """
        if self._files is None:
            return self._place
        key = item.key if item.path is None else self._keys.get(item.path, item.key)
        names = [key]
        # A map by the name that `a.jpg` and `a.png` share would be that of one of them.
        if item.path is not None and self._twins[item.path.with_suffix("")] < 2:
            names.append(str(PurePosixPath(key).with_name(item.path.stem)))
            if self._stems[item.path.stem] == 1:
                names.append(item.path.stem)
        return self._files.find(*names)

    def explain_nothing(
        self, s2m: Callable[..., Prediction], items: Sequence[Item], highest: float | None
    ) -> str:
        """Says, in a sentence, what is suspicious about maps in which nothing at all was found.

        Args:
            s2m: The pipeline.
            items: The images.
            highest: The highest normalised score in them, if known.
        """
        found = self._turned_round(s2m, items[:_TRIED])
        reasons = []
        if found:
            reasons.append(
                f"turned round they give {found} object{'' if found == 1 else 's'}, so look whether higher "
                "means more anomalous in them"
            )
        if self._few is not None:
            maps = f"{self._few} map{'' if self._few == 1 else 's'}"
            reasons.append(
                f"their statistics come from {maps}, in which objects weigh as much as all else, so give "
                "those of ordinary images (--score-stats)"
            )
        elif not found and highest is not None and highest < HIGH:
            reasons.append(
                f"unknown objects usually reach {HIGH:g}, so look whether they stand out in the maps, or "
                "give the statistics of ordinary images (--score-stats)"
            )
        if not reasons or (highest is not None and highest >= HIGH):
            reasons.append(
                "the prompt generator may not know such scores, so try --operating-point thorough or "
                "--prompts components"
            )
        reach = "" if highest is None else f", which rise {highest:.1f} standard deviations above their mean"
        return f"nothing was found with the scores in {self._place}{reach}: {'; '.join(reasons)}"

    def _turned_round(self, s2m: Callable[..., Prediction], items: Sequence[Item]) -> int:
        """Objects found with the maps' signs changed."""
        turned, found = ScoreNormalizer(-self.normalizer.mean, self.normalizer.std), 0
        for item in items:
            try:
                with collect_warnings(forward=False):
                    scores = read_score_map(self.find(item)).scores
                    found += len(s2m(item.read(), score_map=-scores, score_normalizer=turned).objects)
            except (ImageError, ScoreMapError):
                continue  # it was named before
        return found


def read_stats(stats: Stats) -> ScoreNormalizer:
    """Reads the statistics of scores on ordinary images.

    Args:
        stats: `ScoreNormalizer`, mean and standard deviation, the same as text (`"0.5,1.2"`), or a folder of
            score maps of ordinary images.

    Raises:
        ConfigError: A text that is neither two numbers nor a folder.
        ScoreMapError: A standard deviation that is not above 0, or no usable map in the folder.
    """
    if isinstance(stats, ScoreNormalizer):
        return stats
    if isinstance(stats, str | os.PathLike):
        text = os.fspath(stats)
        if os.path.isdir(text):
            return measure_scores(score_maps_in(text)).normalizer
        try:
            mean, std = map(float, text.split(","))
        except ValueError:
            raise ConfigError(
                f"'{text}' is neither a folder of score maps nor a mean and a standard deviation: write "
                "MEAN,STD"
            ) from None
        return ScoreNormalizer(mean, std)
    mean, std = stats
    return ScoreNormalizer(float(mean), float(std))
