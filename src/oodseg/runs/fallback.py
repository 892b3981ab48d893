"""Fits a detector that was never fitted: to the very images, or as an earlier run in the same folder did.

A run that resumes, on another number of threads or with further images in its folder, would find statistics
that differ, by rounding or by what is new; its scores would no longer be those of the results that are there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from itertools import takewhile
from math import isclose
from pathlib import Path
from typing import Any

from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import statistics_of
from oodseg.core.run_file import read_run_file
from oodseg.pipeline import S2M
from oodseg.runs.folder import numbered_folders
from oodseg.runs.items import Item
from oodseg.runs.statistics import fit_to_inputs

_KEY = "fitted"
_ROUNDING = 1e-4  # relative, between sums in another order


def fit_or_recall(
    s2m: S2M,
    items: Iterable[Item],
    known: dict[str, Any],
    out: str | os.PathLike[str] | None,
    default: str,
    fresh: bool,
) -> str | None:
    """Fits a pipeline's detector where it was never fitted.

    Args:
        s2m: The pipeline; its detector is fitted in place.
        items: The images to be predicted.
        known: All settings of the run so far; mean and deviation are added to them as `"fitted"`.
        out: Folder of the run; None for `default`, or one of the numbered folders in it.
        default: The usual folder.
        fresh: Whether results of an earlier run are let go.

    Returns:
        What was done and what would be better, in one sentence; None where there was nothing to do.

    Raises:
        ConfigError: The images come one by one, so that there is nothing to take a sample of.
        OodsegError: The detector cannot be fitted on them.
    """
    detector = s2m.detector
    if detector is None or detector.fitted:
        return None
    folder, earlier = (None, None) if fresh else _earlier(known, out, default)
    if earlier is not None:
        detector.normalizer = earlier
        if detector.fitted:  # the score itself has nothing to learn
            s2m.forget_guarantee()
            known[_KEY] = [earlier.mean, earlier.std]
            return (
                f"the detector's statistics are those that the earlier run in {folder} fitted on its images, "
                "for want of better ones: fit them once on images in which nothing is unknown, with "
                "`oodseg fit`"
            )
        detector.normalizer = None
    note = fit_to_inputs(s2m, items)
    if note is not None:
        found = statistics_of(detector)
        if earlier is not None and _are_close(found, earlier):
            found = earlier
        known[_KEY] = [found.mean, found.std]
    return note


def _are_close(one: ScoreNormalizer, other: ScoreNormalizer) -> bool:
    return abs(one.mean - other.mean) <= _ROUNDING * other.std and isclose(
        one.std, other.std, rel_tol=_ROUNDING
    )


def _earlier(
    known: Mapping[str, Any], out: str | os.PathLike[str] | None, default: str
) -> tuple[Path | None, ScoreNormalizer | None]:
    """The folder of an earlier run under the same settings, and the statistics that it fitted."""
    wanted = json.loads(json.dumps(known))
    usual = takewhile(Path.is_dir, numbered_folders(Path(default)))
    for folder in usual if out is None else [Path(out)]:
        settings = dict(read_run_file(folder).get("settings") or {})
        match settings.pop(_KEY, None):
            case [float(mean), float(std)] if settings == wanted and std > 0:
                return folder, ScoreNormalizer(mean, std)
    return None, None
