"""Compares the runtimes and precisions that this machine has for a pipeline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from oodseg.core.devices import full_precision, has_fast_bfloat16
from oodseg.core.progress import Progress, silent
from oodseg.core.runtimes import available_runtimes
from oodseg.io.images import as_image, resize
from oodseg.nn.runner import RuntimeFallback
from oodseg.pipeline import S2M
from oodseg.runs.timing import describe_machine, draw, time_size
from oodseg.synth.drawn import draw_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPARED_SIZES = ((1280, 720), (640, 360))
# Drawn scenes on which masks are compared, beside the image that is timed.
_SEEDS = (1, 2)


@dataclass(frozen=True)
class Variant:
    """One way to run a pipeline on the CPU.

    Attributes:
        runtime: `"torch"`, `"onnxruntime"` or `"openvino"`.
        precision: `"float32"` or `"bfloat16"`.
    """

    runtime: str
    precision: str


def list_variants() -> list[Variant]:
    """Lists the ways that this machine has, the reference (torch in float32) first."""
    import torch

    fast = has_fast_bfloat16(torch.device("cpu"))
    found = [Variant("torch", "float32")]
    for runtime in reversed(available_runtimes()):
        if runtime != "torch":
            found.append(Variant(runtime, "float32"))
        if fast and runtime != "onnxruntime":
            found.append(Variant(runtime, "bfloat16"))
    return found


def compare_runtimes(
    pipeline: str | os.PathLike[str] = "street",
    image: Any = None,
    *,
    runs: int = 10,
    sizes: Sequence[tuple[int, int]] | None = None,
    progress: Progress | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """Times a pipeline on the CPU with every runtime and precision, each in a process of its own.

    Args:
        pipeline: Bundled name or folder.
        image: What `as_image` takes, resized to fit; None for a drawn scene.
        runs: Timed runs per size, after two to warm up.
        sizes: Width and height of the images; None for `COMPARED_SIZES`.
        progress: Told after every variant.
        **parts: `detector`, `prompts`, `masks`, `operating_point` and `working_side`: see
            `S2M.from_pretrained`.

    Returns:
        JSON-able: `machine`, `pipeline`, `threads`, and `results`: per variant `runtime`, `precision`,
        `load_seconds`, `first_seconds` (the first image, with the export of graphs where these are not in the
        cache), `fallback` (why torch did the work; None where it did not), and `sizes`: what `time_size`
        returns with `difference` (largest share of an image's pixels in which masks differ from those of the
        first variant) and `ratio` (of the least total time to that of torch in its usual precision).

    Raises:
        OodsegError: An unreadable image, an unknown part, or weights that are not there.
    """
    import torch

    given = None if image is None else as_image(image)
    chosen = {key: spec for key, spec in parts.items() if spec is not None}
    variants, threads, show = list_variants(), torch.get_num_threads(), progress or silent
    found, reference = [], list[Any]()
    for index, variant in enumerate(variants):
        task = (os.fspath(pipeline), variant, given, runs, tuple(sizes or COMPARED_SIZES), threads, chosen)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            measured, masks = pool.submit(_measure, *task).result()
        reference = reference or masks
        for size, ours, theirs in zip(measured["sizes"], masks, reference, strict=True):
            size["difference"] = round(float((ours != theirs).mean((1, 2)).max()), 6)
        found.append(measured)
        show("variants", index + 1, len(variants))
    usual = next(each for each in reversed(found) if each["runtime"] == "torch")
    for each in found:
        for size, base in zip(each["sizes"], usual["sizes"], strict=True):
            least, torchs = size["least_milliseconds"]["total"], base["least_milliseconds"]["total"]
            size["ratio"] = round(least / torchs, 3)
    machine = describe_machine()
    return {"machine": machine, "pipeline": os.fspath(pipeline), "threads": threads, "results": found}


def _measure(
    pipeline: str,
    variant: Variant,
    image: NDArray[np.uint8] | None,
    runs: int,
    sizes: Sequence[tuple[int, int]],
    threads: int,
    parts: Mapping[str, Any],
) -> tuple[dict[str, Any], list[NDArray[np.bool_]]]:
    """What `compare_runtimes` says of one variant, and per size the masks, bool `[images, H, W]`."""
    import warnings

    import torch

    torch.set_num_threads(threads)
    exact: AbstractContextManager[Any] = full_precision() if variant.precision == "float32" else nullcontext()
    with exact, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeFallback)
        started = time.perf_counter()
        s2m = S2M.from_pretrained(pipeline, "cpu", runtime=variant.runtime, **parts)
        loaded = time.perf_counter()
        s2m(draw(320, 180))
        first = time.perf_counter()
        timed = [time_size(s2m, image, width, height, runs) for width, height in sizes]
        masks = [_masks(s2m, image, width, height) for width, height in sizes]
    fallback = next((str(each.message) for each in caught if each.category is RuntimeFallback), None)
    seconds = {"load_seconds": round(loaded - started, 3), "first_seconds": round(first - loaded, 3)}
    return {**asdict(variant), **seconds, "fallback": fallback, "sizes": timed}, masks


def _masks(s2m: S2M, image: NDArray[np.uint8] | None, width: int, height: int) -> NDArray[np.bool_]:
    drawn = [draw_scene(np.random.default_rng(seed), (height // 2, width // 2), 3).image for seed in _SEEDS]
    first = draw(width // 2, height // 2) if image is None else image
    return np.stack([s2m(resize(each, height, width)).mask for each in (first, *drawn)])
