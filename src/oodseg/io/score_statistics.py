"""Statistics of anomaly scores from elsewhere, and what they say about the scores."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ScoreMapError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.normalization import ScoreNormalizer
from oodseg.io.discovery import files_below
from oodseg.io.scoremaps import SUFFIXES, read_score_map

if TYPE_CHECKING:
    from torch import Tensor

# Over all triples of neighbours among 28 street images, five scores (one minus the largest probability, the
# negative largest logit, entropy, energy, objectness) reached at least 0.25 times as far above their median
# as below it. Turned round, entropy reaches 0.08 times as far; energy cannot be told from its reverse.
_REACH = 0.2
_TAIL = 0.001
_PIXELS, _TAIL_PIXELS = 250_000, 20_000  # per map; they settle a mean, and a quantile over maps


@dataclass(frozen=True)
class ScoreStatistics:
    """Holds the statistics of a set of score maps.

    Attributes:
        normalizer: Mean and standard deviation of their pixels.
        maps: Number of maps behind them.
        below: How far the scores reach below their median, in standard deviations.
        above: How far they reach above it.
    """

    normalizer: ScoreNormalizer
    maps: int
    below: float
    above: float

    @property
    def looks_reversed(self) -> bool:
        """True if what is rare lies so clearly below the ordinary that high may well mean ordinary."""
        return self.above < _REACH * self.below


def score_maps_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the score maps in a folder and its sub folders, sorted.

    Raises:
        ScoreMapError: No such folder, or no score map in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ScoreMapError(f"the score map folder {folder} does not exist: check the path for typing errors")
    paths = sorted(
        path
        for path in files_below(folder)
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise ScoreMapError(f"{folder} holds no score map ({', '.join(SUFFIXES)}): check the path")
    return paths


def measure_scores(paths: Sequence[Path], max_maps: int = 50, seed: int = 0) -> ScoreStatistics:
    """Measures score maps.

    Scores from elsewhere come without in-distribution statistics, so the maps stand in for them: unknown
    objects cover few of their pixels. Unreadable maps are left out here; they are reported when their own
    image is due.

    Args:
        paths: The maps.
        max_maps: How many of them to sample at most.
        seed: Seed of the sample: the same maps always give the same statistics.

    Raises:
        ScoreMapError: No usable map; the message says what is wrong with the first.
    """
    if len(paths) > max_maps:
        paths = sorted(random.Random(seed).sample(list(paths), max_maps))
    sample: list[NDArray[Any]] = []
    faults: list[ScoreMapError] = []
    usable = _usable_maps(paths, sample, faults)
    try:
        normalizer = ScoreNormalizer.fit(usable)
    except ScoreMapError as error:
        first = faults[0] if faults else error
        others = f" ({len(faults) - 1} more score maps cannot be used either)" if len(faults) > 1 else ""
        raise ScoreMapError(f"{first}{others}") from error
    low, middle, high = np.quantile(np.concatenate(sample), [_TAIL, 0.5, 1 - _TAIL])
    std = normalizer.std
    return ScoreStatistics(normalizer, len(sample), float(middle - low) / std, float(high - middle) / std)


def _usable_maps(
    paths: Sequence[Path], sample: list[NDArray[Any]], faults: list[ScoreMapError]
) -> Iterator[Tensor]:
    """Gives a part of every map for the mean, and adds a smaller one to the sample; notes what is wrong."""
    import torch

    for path in paths:
        try:
            with collect_warnings(forward=False):  # they too are given when its own image is due
                scores = read_score_map(path).scores
        except ScoreMapError as error:
            faults.append(error)
            continue
        # Every step-th row and column samples evenly.
        step = max(1, round((scores.size / _PIXELS) ** 0.5))
        part = np.ascontiguousarray(scores[::step, ::step])
        sample.append(part.ravel()[:: max(1, part.size // _TAIL_PIXELS)])
        yield torch.from_numpy(part)
