"""Measures the tracks of a video run on a labelled sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.data.frames import IGNORE
from oodseg.data.sequences import LabelledSequence
from oodseg.metrics.instances import encode_mask
from oodseg.metrics.tracks import TrackCounter


def count_tracks(counter: TrackCounter, sequence: LabelledSequence, document: Mapping[str, Any]) -> None:
    """Adds a whole sequence to a counter.

    Args:
        counter: What counts.
        sequence: The truth.
        document: Content of the `tracks.json` of a run over the very frames.

    Raises:
        DatasetError: A label cannot be read, or differs in size from its frame.
    """
    frames = {PurePath(image["file_name"]).stem: image for image in document["images"]}
    shown: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    for found in document["annotations"]:
        shown[found["image_id"]][found["instance_id"]] = found["segmentation"]
    for name, label in sequence.identities():
        if name not in frames:
            continue  # its image could not be read
        image = frames[name]
        if label.shape != (image["height"], image["width"]):
            raise DatasetError(
                f"the label {sequence.labels[name]} differs in size from its frame: export both again"
            )
        truth = {
            code: encode_mask(label == code) for code in np.unique(label).tolist() if code not in {0, IGNORE}
        }
        ignored = encode_mask(label == IGNORE) if (label == IGNORE).any() else None
        counter.update(truth, shown[image["id"]], ignored)
    (video,) = document["videos"]
    counter.end_sequence(video["seconds"])
