"""Shows a pipeline at work on street scenes that need no data, with the truth beside what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.encoding import encode_png
from oodseg.core.files import write_bytes
from oodseg.core.progress import Progress
from oodseg.io.images import read_image, resize
from oodseg.runs.loading import load
from oodseg.runs.naming import output_names
from oodseg.runs.predictions import predict
from oodseg.synth.demo import HEIGHT, WIDTH, draw_scenes

if TYPE_CHECKING:
    from oodseg.core.prediction import Prediction

FOUND_AT = 0.5
SHEET_WIDTH = 640
_GAP = 8


@dataclass(frozen=True)
class SceneResult:
    """The outlines found in a drawn scene, compared with what was drawn.

    Attributes:
        drawn: Unknown objects in the scene.
        found: Of those, how many have an outline with an IoU of at least 0.5.
        false_alarms: Outlines that match no drawn object.
        best_ious: For every drawn object its largest IoU with any outline, 0..1.
    """

    drawn: int
    found: int
    false_alarms: int
    best_ious: tuple[float, ...]

    @property
    def missed(self) -> int:
        """Drawn objects without such an outline."""
        return self.drawn - self.found


@dataclass(frozen=True)
class Demonstration:
    """The result of a demonstration.

    Attributes:
        scenes: Result of every scene by its file name.
        sheet: Image of all scenes beside their overlays.
    """

    scenes: dict[str, SceneResult]
    sheet: Path

    @property
    def total(self) -> SceneResult:
        """All scenes together."""
        every = list(self.scenes.values())
        return SceneResult(
            sum(each.drawn for each in every),
            sum(each.found for each in every),
            sum(each.false_alarms for each in every),
            tuple(value for each in every for value in each.best_ious),
        )


def demonstrate(
    out: str | os.PathLike[str],
    count: int = 6,
    seed: int = 0,
    pipeline: str | os.PathLike[str] | Callable[..., Prediction] = "street",
    *,
    operating_point: str | None = None,
    device: str | int = "auto",
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Demonstration:
    """Draws street scenes with unknown objects, outlines these, and compares.

    Args:
        out: Folder for the scenes (`images/`), the results of `predict` and the sheet.
        count: Number of scenes.
        seed: Another number draws other scenes.
        pipeline: As `predict` takes it.
        operating_point: Likewise.
        device: Likewise.
        settings: Likewise.
        progress: Told after every scene.

    Raises:
        WeightsError: There is no such pipeline; nothing is written then.
        OodsegError: A file cannot be written.
    """
    out = Path(out)
    s2m, known = load(pipeline, settings, operating_point=operating_point, device=device)
    truths = draw_scenes(out / "images", count, seed)
    scenes = list(truths)
    run = predict(scenes, s2m, out, settings=known, fresh=True, progress=progress)
    masks = _read_masks(run.coco_path)
    results = {path.name: compare(truth, masks.get(path.name, [])) for path, truth in truths.items()}
    names = output_names(scenes)[1]
    overlays = [out / "overlays" / f"{names[scene]}.jpg" for scene in scenes]
    sheet = out / "contact_sheet.png"
    _write_sheet(sheet, list(zip(scenes, overlays, strict=True)))
    return Demonstration(results, sheet)


def compare(truth: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> SceneResult:
    """Compares outlines with what was drawn.

    Args:
        truth: uint8 `[H, W]`, 0 or the number of an unknown object.
        masks: Bool `[H, W]` each, most confident first; an object is matched once at most.
    """
    objects = [truth == index for index in range(1, int(truth.max(initial=0)) + 1)]
    objects = [each for each in objects if each.any()]
    iou = [[_iou(mask, each) for each in objects] for mask in masks]
    taken: set[int] = set()
    for row in iou:
        free = [index for index, value in enumerate(row) if value >= FOUND_AT and index not in taken]
        if free:
            taken.add(max(free, key=row.__getitem__))
    best_ious = tuple(max((row[index] for row in iou), default=0.0) for index in range(len(objects)))
    return SceneResult(len(objects), len(taken), len(masks) - len(taken), best_ious)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    both = int((a & b).sum())
    return both / max(1, int(a.sum()) + int(b.sum()) - both)


def _read_masks(coco_path: Path) -> dict[str, list[NDArray[np.bool_]]]:
    """Outlines by image, read back from the file that a user of the results would read."""
    from pycocotools import mask as rle_tools

    coco = json.loads(coco_path.read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    masks: dict[str, list[NDArray[np.bool_]]] = {}
    for each in sorted(coco["annotations"], key=lambda found: -found["score"]):
        masks.setdefault(names[each["image_id"]], []).append(
            rle_tools.decode(each["segmentation"]).astype(bool)
        )
    return masks


def _write_sheet(path: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Lays scenes (left) beside their overlays (right)."""
    height = SHEET_WIDTH * HEIGHT // WIDTH
    sheet = np.full((len(pairs) * (height + _GAP) + _GAP, 2 * SHEET_WIDTH + 3 * _GAP, 3), 255, np.uint8)
    for row, pair in enumerate(pairs):
        top = _GAP + row * (height + _GAP)
        for column, source in enumerate(pair):
            left = _GAP + column * (SHEET_WIDTH + _GAP)
            # An overlay extends below the scene.
            small = resize(read_image(source)[:HEIGHT], height, SHEET_WIDTH)
            sheet[top : top + height, left : left + SHEET_WIDTH] = small
    write_bytes(path, encode_png(sheet))
