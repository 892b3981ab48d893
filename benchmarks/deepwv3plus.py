"""Time and memory of RPL's published network (DeepLabV3+ on WideResNet-38, 168 M parameters).

    python benchmarks/deepwv3plus.py [--threads 2] [--runs 1] [--size 2048x1024]

The weights are random. The detector runs from a file, the way `--detector rpl:FILE.pth` does, in float32 and
in bfloat16, each in a process of its own: seconds per image (the least of the runs), of the clock and of all
cores together, peak memory of the process, and how far bfloat16 moves the score in standard deviations of
it. A Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def make(folder: Path) -> None:
    """Writes random weights of the published sizes."""
    import torch

    from oodseg.segmenters.deepwv3plus import DeepWV3Plus

    torch.manual_seed(0)
    torch.save(DeepWV3Plus(19, residual=True).state_dict(), folder / "rpl.pth")


def measure(folder: Path, width: int, height: int, runs: int, bfloat16: bool) -> dict[str, float]:
    """Loads the detector and scores one image a few times; keeps the score in the folder."""
    import torch

    from oodseg.detectors.logit import LogitDetector
    from oodseg.runs.timing import peak_mib
    from oodseg.segmenters.deepwv3plus import DeepWV3PlusSegmenter

    start = time.perf_counter()
    segmenter = DeepWV3PlusSegmenter(str(folder / "rpl.pth"), residual=True, reduced_precision=bfloat16)
    detector = LogitDetector(segmenter, "energy", smooth=1.0)
    loaded = time.perf_counter() - start
    torch.manual_seed(1)
    coarse = torch.rand(1, 3, height // 16, width // 16)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    seconds, of_cores = [], []
    for _ in range(runs):
        start, computed = time.perf_counter(), time.process_time()
        score = detector.score(image)
        seconds.append(time.perf_counter() - start)
        of_cores.append(time.process_time() - computed)
    torch.save(score, folder / f"{bfloat16}.pt")
    peak = peak_mib() or float("nan")
    return {"load": loaded, "seconds": min(seconds), "cores": min(of_cores), "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--size", default="2048x1024", metavar="WIDTHxHEIGHT")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bfloat16", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    if options.measure is not None:
        print(json.dumps(measure(options.measure, width, height, options.runs, options.bfloat16)))
        return
    import torch

    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    print(f"{options.threads} threads ({torch.backends.cpu.get_cpu_capability()}), torch {torch.__version__}")
    print(f"\n| {options.size} | load, s | image, s | of all cores, s | peak MiB | score moved by |")
    print("|---|" + "---:|" * 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        command = [sys.executable, __file__, "--size", options.size, "--runs", str(options.runs)]
        for precision in ([], ["--bfloat16"]):
            done = subprocess.run(
                [*command, "--measure", name, *precision],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            exact = torch.load(folder / "False.pt", weights_only=True)
            score = torch.load(folder / f"{bool(precision)}.pt", weights_only=True)
            moved = float((score - exact).abs().mean() / exact.std())
            times = f"{found['load']:.1f} | {found['seconds']:.1f} | {found['cores']:.1f}"
            figures = f"{times} | {found['peak']:,.0f} | {moved:.3f}"
            print(f"| {'bfloat16' if precision else 'float32'} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
