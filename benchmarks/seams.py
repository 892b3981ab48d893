"""Does the detector see the object, or the seam it was pasted with?

    python benchmarks/seams.py --data DATA [--pipeline street] [--scenes 200]

Known things (vehicles, people, and pieces of other streets cut in the outline of an unknown object) are
pasted by the same code as unknown objects. A detector that reads seams scores both alike: the AUROC of
unknown against known pasted pixels is then 50 %. The AUROC against untouched pixels stands beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from oodseg import S2M
from oodseg.core.parts import statistics_of
from oodseg.io.images import to_tensor
from oodseg.metrics.pixel import pixel_metrics
from oodseg.synth.mix import Mix
from oodseg.synth.scenes import SceneSampler


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pipeline", default="street")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    detector = S2M.from_pretrained(arguments.pipeline, "cpu").detector
    if detector is None:
        parser.error(f"{arguments.pipeline} has no detector")
    mix = Mix(natural=0, drawn=0, empty=0, known=1)
    sampler = SceneSampler(arguments.data, (360, 640), "val", arguments.seed, mix)
    groups: dict[str, list[np.ndarray]] = {"unknown, pasted": [], "known, pasted": [], "untouched": []}
    for index in track(range(arguments.scenes), "scenes"):
        scene = sampler.sample(np.random.default_rng((arguments.seed, index)))
        score = statistics_of(detector)(detector.score(to_tensor(scene.image)[None]))[0].numpy()
        unknown = (scene.unknown > 0) & (scene.unknown < 255)
        untouched = (scene.unknown == 0) & ~scene.known
        for name, where in zip(groups, (unknown, scene.known, untouched), strict=True):
            groups[name].append(score[where][::7])
    values = {name: np.concatenate(parts) for name, parts in groups.items()}
    console = Console()
    for name, scores in values.items():
        console.print(f"mean normalised score, {name}: {scores.mean():.2f} ({scores.size} pixels)")
    for other in ("known, pasted", "untouched"):
        scores = np.concatenate([values["unknown, pasted"], values[other]])
        labels = np.r_[np.ones(values["unknown, pasted"].size), np.zeros(values[other].size)].astype(np.uint8)
        console.print(
            f"AUROC of unknown pasted against {other}: {100 * pixel_metrics(scores, labels).auroc:.1f} %"
        )


if __name__ == "__main__":
    main()
