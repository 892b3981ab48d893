"""Puts trained parts together into a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oodseg.core.build import build, load_part
from oodseg.core.bundle import bundled_names, find_bundle, read_pipeline_config
from oodseg.core.parts import statistics_of
from oodseg.core.spec import ROOMS
from oodseg.pipeline import S2M
from oodseg.training.engine.trained import load_trained


def find_part(key: str, source: str) -> Any:
    """Finds a part of a pipeline.

    Args:
        key: `"detector"`, `"prompts"` or `"masks"`.
        source: Folder of a finished training of that part; name or folder of a pipeline that has it; or a
            word or file of `oodseg.core.spec`.

    Raises:
        WeightsError: The training is not finished, or a file is missing or damaged.
        ConfigError: No such part.
    """
    folder = Path(source)
    if source in bundled_names() or (folder / "config.json").is_file():
        bundle = find_bundle(source)
        return load_part(bundle, read_pipeline_config(bundle), key)
    if folder.is_dir():
        return load_trained(folder, key)
    return build(ROOMS[key], source)


def assemble(detector: str, prompts: str, masks: str, out: Path, bits: int = 16) -> S2M:
    """Puts parts together and saves them as a pipeline folder.

    Args:
        detector: See `find_part`.
        prompts: Likewise.
        masks: Likewise.
        out: Folder of the pipeline, which is called like it.
        bits: How weights are stored: 16 or 8.

    Raises:
        WeightsError: A training is not finished, or a file is missing or damaged.
        ConfigError: No such part, a detector that was never fitted, or another number of bits.
        OodsegError: The folder cannot be written.
    """
    s2m = S2M(
        detector=find_part("detector", detector),
        prompts=find_part("prompts", prompts),
        masks=find_part("masks", masks),
        name=out.resolve().name,
    )
    if s2m.detector is not None:
        statistics_of(s2m.detector)
    s2m.save_pretrained(out, bits)
    return s2m
