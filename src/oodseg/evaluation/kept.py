"""Keeps predictions on disk, so that an evaluation that was interrupted goes on where it stopped.

    <folder>/<settings>/<frame>.json   what was found, and of which files
    <folder>/<settings>/<frame>.npy    the score map, float32

Both names are checksums, so that another pipeline, other scores or another set never meet what is kept of
these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from oodseg.core.files import write_json
from oodseg.core.fingerprint import file_identity, hash_json
from oodseg.core.input_warnings import warn_input
from oodseg.core.objects import OodObject
from oodseg.core.prediction import Prediction
from oodseg.core.version import __version__
from oodseg.evaluation.sources import save_scores

_DIGITS = 24  # of checksums, in names


@dataclass(frozen=True)
class Kept:
    """A prediction that is kept, of one frame.

    Attributes:
        prediction: Without its score map.
        scores: File of that; None if the pipeline shows none.
    """

    prediction: Prediction
    scores: Path | None


class KeptPredictions:
    """The predictions of one pipeline.

    Args:
        folder: Where they are kept, those of others beside them.
        settings: JSON-able: whatever they depend on, besides the files that each is made from.
    """

    def __init__(self, folder: Path, settings: Any) -> None:
        self._folder = folder / hash_json([__version__, settings])[:_DIGITS]

    def get(self, name: str, files: Sequence[Path]) -> Kept | None:
        """Returns what is kept of a frame, and warns again of what was mended in it.

        Args:
            name: Of the frame.
            files: What its prediction is made from.

        Returns:
            None if nothing is, or if one of the files has changed since.
        """
        stem = self._stem(name)
        try:
            found = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
            if found["files"] != [file_identity(path) for path in files]:
                return None
            prediction = _prediction(files[0], found["prediction"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none, or a damaged one
        scores = stem.with_suffix(".npy") if found["scores"] else None
        if scores is not None and not scores.is_file():
            return None
        for sentence in prediction.warnings:
            warn_input(sentence)
        return Kept(prediction, scores)

    def put(self, name: str, files: Sequence[Path], found: Prediction) -> Kept:
        """Keeps a prediction; arguments as those of `get`.

        Raises:
            OodsegError: A file cannot be written.
        """
        stem = self._stem(name)
        scores = None if found.score is None else stem.with_suffix(".npy")
        if scores is not None and found.score is not None:
            save_scores(scores, found.score)
        about = {
            "height": found.height,
            "width": found.width,
            "objects": [asdict(each) for each in found.objects],
            "warnings": list(found.warnings),
            "timings": dict(found.timings),
        }
        identities = [file_identity(path) for path in files]
        # Last: what it says is there, is there.
        write_json(
            stem.with_suffix(".json"),
            {"name": name, "files": identities, "scores": scores is not None, "prediction": about},
        )
        return Kept(replace(found, score=None), scores)

    def _stem(self, name: str) -> Path:
        return self._folder / hash_json(name)[:_DIGITS]


def _prediction(path: Path, about: Mapping[str, Any]) -> Prediction:
    objects = [OodObject(**{**each, "prompt_box": tuple(each["prompt_box"])}) for each in about["objects"]]
    return Prediction(path, **{**about, "objects": objects})
