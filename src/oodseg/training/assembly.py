"""Puts trained parts together into a pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oodseg.core.build import load_part
from oodseg.core.bundle import read_header
from oodseg.core.errors import WeightsError
from oodseg.pipeline import S2M
from oodseg.training.detector import load_detector


def assemble(detector: Path, prompts: Path, masks: Path, out: Path, bits: int = 16) -> S2M:
    """Puts trained parts together and saves them as a pipeline folder.

    Args:
        detector: Folder of a finished training of the detector.
        prompts: Likewise of the prompt generator.
        masks: Likewise of the promptable segmenter.
        out: Folder of the pipeline, which is called like it.
        bits: How weights are stored: 16 or 8.

    Raises:
        WeightsError: A training is not finished, or its weight file is damaged.
        ConfigError: Another number of bits.
        OodsegError: The folder cannot be written.
    """
    s2m = S2M(
        detector=load_detector(finished(detector, "detector").parent),
        prompts=_trained(finished(prompts, "prompts"), "prompts", "faster_rcnn"),
        masks=_trained(finished(masks, "masks"), "masks", "compact"),
        name=out.resolve().name,
    )
    s2m.save_pretrained(out, bits)
    return s2m


def finished(folder: Path, verb: str) -> Path:
    """The weight file of a finished training.

    Raises:
        WeightsError: There is none.
    """
    file = f"{verb}.safetensors"
    if not (folder / file).is_file():
        raise WeightsError(f"{folder} holds no {file}: name the folder of a finished `oodseg train {verb}`")
    return folder / file


def _trained(path: Path, key: str, name: str) -> Any:
    """Rebuilds a trained part from the weight file of its run; the file's header holds its settings."""
    try:
        config = json.loads(read_header(path)["config"])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path} is no whole weight file of a training: train that part again") from error
    saved = {key: {"name": name, **config}, "weights": {key: {"file": path.name}}}
    return load_part(path.parent, saved, key)
