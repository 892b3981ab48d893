"""Measures runtimes against each other on a busy machine: in turn, within one process.

    python benchmarks/runtimes.py [--runs 20] [--threads 2] [--width 1280 --height 720]

Other programs slow all of them down alike when they take turns, image by image; `oodseg bench --compare`
gives each a process, and needs a machine of its own. Printed are the least wall time and the least CPU time
of all runs, both also as shares of those of torch, and by how much masks differ.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from oodseg import S2M
from oodseg.core.devices import at_precision
from oodseg.core.runtimes import available_runtimes
from oodseg.io.images import resize
from oodseg.runs.timing import draw

UNFOLDED = "torch, not folded"


def pipelines(source: str) -> dict[str, tuple[S2M, str]]:
    """Builds the pipelines to compare: name to pipeline and precision."""
    found = {}
    for runtime in reversed(available_runtimes()):
        found[f"{runtime} full"] = (S2M.from_pretrained(source, "cpu", runtime=runtime), "full")
        found[runtime] = (S2M.from_pretrained(source, "cpu", runtime=runtime), "auto")
    before = S2M.from_pretrained(source, "cpu")
    for part in (before.detector, before.prompts, before.masks):
        if part is not None:
            part.run_on(None)
    return {UNFOLDED: (before, "auto"), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("runs", 20), ("threads", 2), ("width", 1280), ("height", 720)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--pipeline", default="street", help="bundled name or folder")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image = resize(draw(options.width // 2, options.height // 2), options.height, options.width)
    running = pipelines(options.pipeline)
    least: dict[str, dict[str, float]] = {name: {} for name in running}
    masks = {}
    for number in range(options.runs + 2):
        for name, (s2m, precision) in running.items():
            with at_precision("full" if precision == "full" else "auto"):
                started = time.process_time()
                found = s2m(image)
                times = {**found.timings, "cpu": 1e3 * (time.process_time() - started)}
            masks[name] = found.mask
            if number > 1:  # after two to warm up
                least[name] = {key: min(value, least[name].get(key, value)) for key, value in times.items()}
    size = f"{options.width}x{options.height}"
    table = Table(title=f"{size}, {options.threads} threads: least ms of {options.runs}")
    for head in ("", "detector", "prompts", "masks", "total", "to torch", "CPU", "to torch", "masks differ"):
        table.add_column(head, justify="right" if head else "left")
    base = least["torch"]
    for name, each in least.items():
        stages = [f"{each[stage]:.0f}" for stage in ("detector", "prompts", "masks", "total")]
        wall, cpu = (each[key] / base[key] for key in ("total", "cpu"))
        differ = float(np.mean(masks[name] != masks["torch full"]))
        table.add_row(name, *stages, f"{wall:.2f}", f"{each['cpu']:.0f}", f"{cpu:.2f}", f"{differ:.3%}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
