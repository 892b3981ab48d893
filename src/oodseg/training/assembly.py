"""Puts trained parts together into a pipeline."""

from __future__ import annotations

from pathlib import Path

from oodseg.pipeline import S2M
from oodseg.training.engine.trained import load_trained


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
        detector=load_trained(detector, "detector"),
        prompts=load_trained(prompts, "prompts"),
        masks=load_trained(masks, "masks"),
        name=out.resolve().name,
    )
    s2m.save_pretrained(out, bits)
    return s2m
