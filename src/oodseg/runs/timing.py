"""Times every stage of a pipeline on this machine."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_jpeg
from oodseg.core.files import write_bytes
from oodseg.core.runtimes import choose_runtime
from oodseg.core.version import __version__
from oodseg.io.images import as_image, resize
from oodseg.pipeline import S2M
from oodseg.synth.drawn import draw_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from oodseg.core.prediction import Prediction

SIZES = ((1280, 720), (2048, 1024))
STAGES = ("read", "detector", "prompts", "masks", "total")


def time_pipeline(
    pipeline: str | os.PathLike[str] = "street",
    image: Any = None,
    *,
    runs: int = 10,
    sizes: Sequence[tuple[int, int]] | None = None,
    device: str | int = "auto",
    **parts: Any,
) -> dict[str, Any]:
    """Loads a pipeline and times it, from reading a file to the outlines.

    Args:
        pipeline: Bundled name or folder.
        image: What `as_image` takes, resized to fit; None for a drawn scene.
        runs: Timed runs per size, after two to warm up.
        sizes: Width and height of the images; None for `SIZES`.
        device: Where it runs: see `S2M`.
        **parts: `detector`, `prompts`, `masks`, `operating_point`, `precision`, `runtime` and `working_side`:
            see `S2M.from_pretrained`.

    Returns:
        JSON-able: `machine`, `pipeline`, `promise` (of the boxes, see `S2M.promise`), `device`, `runtime`,
        `threads`, `load_seconds`, and `results`: what `time_size` returns, per size.

    Raises:
        OodsegError: An unreadable image, an unknown part, or weights that are not there.
    """
    import torch

    given = None if image is None else as_image(image)
    started = time.perf_counter()
    chosen = {key: spec for key, spec in parts.items() if spec is not None}
    s2m = S2M.from_pretrained(pipeline, device, **chosen)
    loaded = time.perf_counter() - started
    return {
        "machine": describe_machine(),
        "pipeline": os.fspath(pipeline),
        "promise": s2m.promise,
        "device": s2m.device,
        "runtime": choose_runtime(s2m.runtime, s2m.device),
        "threads": torch.get_num_threads(),
        "load_seconds": round(loaded, 3),
        "results": [time_size(s2m, given, width, height, runs) for width, height in sizes or SIZES],
    }


def time_size(
    s2m: Callable[[Path], Prediction], image: NDArray[np.uint8] | None, width: int, height: int, runs: int
) -> dict[str, Any]:
    """Times a pipeline at one size.

    Args:
        s2m: The pipeline.
        image: uint8 `[H, W, 3]` RGB, resized to fit; None for a drawn scene.
        width: Columns.
        height: Rows.
        runs: Timed runs, after two to warm up.

    Returns:
        `width`, `height`, `runs`, `objects`, `milliseconds` (stage to median), `least_milliseconds` (of the
        fastest run) and `peak_mib` (of the process up to here; None where the system does not report it).
    """
    if image is None:
        image = draw(width // 2, height // 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene.jpg")
        write_bytes(path, encode_jpeg(resize(image, height, width), 92))
        del image
        for _ in range(2):
            found = s2m(path)
        timings = [s2m(path).timings for _ in range(runs)]
    fastest = min(timings, key=lambda each: each["total"])
    return {
        "width": width,
        "height": height,
        "runs": runs,
        "objects": len(found.objects),
        "milliseconds": {stage: round(median(each[stage] for each in timings), 1) for stage in STAGES},
        "least_milliseconds": {stage: round(fastest[stage], 1) for stage in STAGES},
        "peak_mib": peak_mib(),
    }


def draw(width: int, height: int) -> NDArray[np.uint8]:
    """Draws the scene that is timed, uint8 `[H, W, 3]`: always the same."""
    # Drawn at half size and enlarged: drawing must not be what needs the most memory.
    return draw_scene(np.random.default_rng(0), (height, width), 3).image


def peak_mib() -> int | None:
    """Returns this process's peak memory, in MiB; None on systems that do not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def describe_machine() -> dict[str, Any]:
    """Describes the machine, JSON-able: system, processor, cores and versions."""
    import torch

    return {
        "system": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "oodseg": __version__,
    }
