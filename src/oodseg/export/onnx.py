"""Writes a pipeline as four ONNX graphs, each verified against torch before it takes its final name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError, MissingDependencyError, OodsegError, cause
from oodseg.core.files import output_errors, write_json
from oodseg.core.fingerprint import hash_file
from oodseg.core.installing import install_extra
from oodseg.core.objects import PART_SHARE
from oodseg.core.version import __version__
from oodseg.export.graphs import build_graphs
from oodseg.export.precision import agreement, check_precision, lower_precision, masks_of_scenes
from oodseg.export.sharing import share_weights
from oodseg.io.images import resize, to_tensor
from oodseg.masks.cleanup import SMALLEST_SHARE
from oodseg.masks.growth import EDGE_SHARE, HELD_SHARE, ROUNDS
from oodseg.nn.graphs import OPSET, Graph, Tensors, trace
from oodseg.pipeline import BOXES_AT_ONCE, S2M
from oodseg.synth.drawn import draw_scene

FORMAT = 1
EXAMPLE = "onnx_predict.py"
WEIGHTS = "weights.bin"
_MANIFEST = "manifest.json"
# Relative to the value, or absolute where that is below 1. Rounding stays under a thousandth of it.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class ExportedGraph:
    """One written graph.

    Attributes:
        path: The file.
        bytes: Its size.
        difference: Largest difference from torch on the image it was checked with, relative to the value
            (absolute below 1).
    """

    path: Path
    bytes: int
    difference: float


def export_onnx(
    pipeline: S2M, folder: str | os.PathLike[str], precision: str = "float32"
) -> list[ExportedGraph]:
    """Writes `detector.onnx`, `prompts.onnx`, `encoder.onnx`, `decoder.onnx`, a manifest and an example.

    A detector with `detail` has a second graph, `detailed.onnx`, for large images. Weights that several
    graphs hold lie in `weights.bin`, once.

    The graphs (opset 17, float32) take images of any size; `oodseg.export.graphs` says what goes in and
    out, and the example `onnx_predict.py` puts them together with numpy and OpenCV alone. Every graph is run
    in ONNX Runtime on a drawn scene of another size than it was traced with and compared with torch. Only
    when all agree are the files moved into the folder, the manifest last; other files there stay.

    Args:
        pipeline: On the CPU. Prompts must be a Faster R-CNN, masks `compact`; any detector that is a
            network is tried.
        folder: Made if missing.
        precision: `"float32"`, or `"float16"` or `"int8"` for smaller files: see
            `oodseg.export.precision.lower_precision`. The manifest says how far the masks of drawn scenes
            then agree with those of float32 (`agreement`, an IoU).

    Returns:
        The graphs in the order in which an image passes them.

    Raises:
        MissingDependencyError: The libraries of the extra `export` are not installed.
        ConfigError: A part has no ONNX form, or there is no such precision.
        OodsegError: The folder cannot be written.
    """
    check_precision(precision)
    for library in ("onnx", "onnxruntime"):
        if find_spec(library) is None:
            raise MissingDependencyError(
                f"exporting needs {library}: install it with `{install_extra('export')}`"
            )
    if pipeline.detector is None:
        raise ConfigError("a pipeline without a detector cannot be exported: give it one first")
    if pipeline.device != "cpu":
        raise ConfigError(f"export from the CPU, not from {pipeline.device}: load the pipeline with 'cpu'")
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise OodsegError(f"{target} is a file: choose a folder to export to")
    with output_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        # In the folder itself: os.replace is atomic only within one file system.
        work = Path(tempfile.mkdtemp(prefix=".export-", dir=target))
        try:
            written = _write(pipeline, work, precision)
            (target / _MANIFEST).unlink(missing_ok=True)
            shared = [work / WEIGHTS] if (work / WEIGHTS).exists() else []
            for path in [*shared, *(each.path for each in written), work / EXAMPLE, work / _MANIFEST]:
                os.replace(path, target / path.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return [ExportedGraph(target / each.path.name, each.bytes, each.difference) for each in written]


def _write(pipeline: S2M, folder: Path, precision: str) -> list[ExportedGraph]:
    graphs = build_graphs(pipeline.detector, pipeline.prompts, pipeline.masks, pipeline.readiness)
    paths = {name: folder / f"{name}.onnx" for name in graphs}
    written = []
    with full_precision(), torch.inference_mode():
        traced, probe = _through(graphs, 100, 150), _through(graphs, 227, 333)
        for name, graph in graphs.items():
            with _refusing(graph):
                trace(graph, traced[name][0], paths[name])
        if precision == "float32":
            share_weights(list(paths.values()), folder / WEIGHTS)
        for name, graph in graphs.items():
            with _refusing(graph):
                difference = _difference(paths[name], graph, *probe[name])
            if not difference <= _TOLERANCE:
                raise _refusal(graph, f"its ONNX form differs from torch by {difference:.2g}")
            written.append(ExportedGraph(paths[name], paths[name].stat().st_size, difference))
    shutil.copyfile(Path(__file__).with_name(EXAMPLE), folder / EXAMPLE)
    manifest = _manifest(pipeline, graphs, written)
    write_json(folder / _MANIFEST, manifest, indent=1)
    if precision != "float32":
        exact = masks_of_scenes(folder)
        for path in paths.values():
            lower_precision(path, precision)
        share_weights(list(paths.values()), folder / WEIGHTS)
        written = [
            ExportedGraph(path, path.stat().st_size, _difference(path, graphs[name], *probe[name]))
            for name, path in paths.items()
        ]
        manifest = _manifest(pipeline, graphs, written)
        agreed = round(agreement(exact, masks_of_scenes(folder)), 4)
        write_json(folder / _MANIFEST, {**manifest, "precision": precision, "agreement": agreed}, indent=1)
    return written


@contextmanager
def _refusing(graph: Graph) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # whatever a foreign network meets inside the exporter
        reason = cause(error)
        raise _refusal(graph, shorten(reason, 120, placeholder=" ...")) from error


def _refusal(graph: Graph, reason: str) -> ConfigError:
    return ConfigError(
        f"the {graph.name} of this pipeline cannot be exported ({reason}): "
        "use a part that is bundled with oodseg in its place"
    )


def _through(graphs: dict[str, Graph], height: int, width: int) -> dict[str, tuple[Tensors, Tensors]]:
    """Every graph's inputs on a drawn scene, and its outputs in torch."""

    def run(name: str, *inputs: Tensor) -> Tensors:
        outputs = graphs[name].module.eval()(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    rng = np.random.default_rng(0)
    scene = draw_scene(rng, (height, width), 4)
    image = to_tensor(scene.image)[None]
    # Not the detector's own scores: these have objects for certain, and nowhere two pixels alike, among
    # which the two runtimes might choose differently.
    score = torch.from_numpy(((scene.unknown > 0) * 8 + rng.normal(size=(height, width))).astype(np.float32))
    # Small, large and over the border.
    shares = torch.tensor([[0.2, 0.3, 0.4, 0.6], [0.1, 0.1, 0.95, 0.9], [0.9, 0.8, 1.0, 1.0]])
    boxes = shares * torch.tensor([width, height, width, height])
    embedding = run("encoder", image)
    inputs: dict[str, Tensors] = {
        "detector": (image,),
        "detailed": (to_tensor(resize(scene.image, 2 * height, 2 * width))[None],),
        "prompts": (score, *run("detector", image)[1:]),
        "encoder": (image,),
        "decoder": (*embedding, boxes, *([score] if "score" in graphs["decoder"].inputs else [])),
    }
    return {name: (inputs[name], run(name, *inputs[name])) for name in graphs}


def _difference(path: Path, graph: Graph, inputs: Tensors, expected: Tensors) -> float:
    """Largest difference between ONNX Runtime and torch; infinite where shapes differ."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {name: each.numpy() for name, each in zip(graph.inputs, inputs, strict=True)}
    # An input that does not matter to the result is no input of the graph.
    used = {each.name for each in session.get_inputs()}
    found = session.run(None, {name: value for name, value in feed.items() if name in used})
    worst = 0.0
    for ours, theirs in zip(found, (each.numpy() for each in expected), strict=True):
        if ours.shape != theirs.shape:
            return float("inf")
        if ours.size:
            worst = max(worst, float((np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)).max()))
    return worst


def _manifest(pipeline: S2M, graphs: dict[str, Graph], written: list[ExportedGraph]) -> dict[str, Any]:
    shared = written[0].path.with_name(WEIGHTS)
    return {
        "format": FORMAT,
        "oodseg": __version__,
        "pipeline": pipeline.name,
        "opset": OPSET,
        "precision": "float32",
        "agreement": None,
        "working_side": list(pipeline.working_side),
        "promise": pipeline.promise,
        "boxes_at_once": BOXES_AT_ONCE,
        "part_share": PART_SHARE,
        "growth": {"rounds": ROUNDS, "edge_share": EDGE_SHARE, "held_share": HELD_SHARE},
        "smallest_share": SMALLEST_SHARE,
        "weights": {"file": WEIGHTS, "sha256": hash_file(shared)} if shared.exists() else None,
        "graphs": {
            graph.name: {
                "file": each.path.name,
                "sha256": hash_file(each.path),
                "inputs": {name: list(axes) for name, axes in graph.inputs.items()},
                "outputs": {name: list(axes) for name, axes in graph.outputs.items()},
                "difference_from_torch": float(f"{each.difference:.2g}"),
            }
            for graph, each in zip(graphs.values(), written, strict=True)
        },
    }
