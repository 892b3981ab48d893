"""`oodseg demo`: the main job on street scenes that need no data, with the truth beside what was found."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodseg.cli.loading import PipelineOption, load_pipeline, pipeline_identity
from oodseg.cli.predict import run_predict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.table import Table

WIDTH, HEIGHT = 1280, 720
FOUND_AT = 0.5
SHEET_WIDTH = 640
_GAP = 8
# Unknown objects a scene, over and over; the second scene holds none.
_COUNTS = (2, 0, 3, 1, 4, 1)


@dataclass(frozen=True)
class SceneResult:
    """What was found in a drawn scene against what was drawn.

    Attributes:
        drawn: Unknown objects in the scene.
        found: Of those, how many have an outline of an IoU of at least 0.5.
        false_alarms: Outlines that are no such match.
        overlaps: For every drawn object its largest IoU with any outline, 0..1.
    """

    drawn: int
    found: int
    false_alarms: int
    overlaps: tuple[float, ...]

    @property
    def missed(self) -> int:
        """Drawn objects without such an outline."""
        return self.drawn - self.found


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for scenes and results.")] = Path("demo"),
    count: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws other scenes.")] = 0,
    pipeline: PipelineOption = "street",
) -> None:
    """Draw street scenes with unknown objects, outline these, and compare."""
    from rich.console import Console

    from oodseg.io.outputs import output_names

    console = Console()
    settings: dict[str, Any] = {"pipeline": pipeline, "pipeline_sha256": pipeline_identity(pipeline)}
    settings |= {"detector": None, "prompts": None, "masks": None}
    s2m = load_pipeline(pipeline)
    truths = draw_scenes(out / "pictures", count, seed)
    pictures = list(truths)
    summary = run_predict(
        s2m, pictures, out, settings=settings, fresh=True, progress_console=Console(stderr=True)
    )
    masks = _read_masks(summary.coco_path)
    results = {path.name: compare(truth, masks.get(path.name, [])) for path, truth in truths.items()}
    names = output_names(pictures)[1]
    overlays = [out / "overlays" / f"{names[picture]}.png" for picture in pictures]
    sheet = out / "contact_sheet.png"
    _write_sheet(sheet, list(zip(pictures, overlays, strict=True)))
    console.print(result_table(results))
    _say_where(console, out, sheet, _command())


def draw_scenes(folder: Path, count: int, seed: int) -> dict[Path, NDArray[np.uint8]]:
    """Draws scenes and writes them as JPEG.

    Args:
        folder: Where they go.
        count: How many; the second holds nothing unknown.
        seed: Scene k is decided by seed and k alone.

    Returns:
        Path to truth: uint8 `[720, 1280]`, 0 nothing unknown, 1..N the N unknown objects.
    """
    import cv2
    import numpy as np

    from oodseg.core.files import write_bytes
    from oodseg.synth.drawn import draw_scene

    truths = {}
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = draw_scene(rng, (HEIGHT, WIDTH), _COUNTS[number % len(_COUNTS)])
        path = folder / f"scene_{number + 1:02d}.jpg"
        _, data = cv2.imencode(".jpg", scene.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        write_bytes(path, bytes(data))
        truths[path] = scene.unknown
    return truths


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
    overlaps = tuple(max((row[index] for row in iou), default=0.0) for index in range(len(objects)))
    return SceneResult(len(objects), len(taken), len(masks) - len(taken), overlaps)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    both = int((a & b).sum())
    return both / max(1, int(a.sum()) + int(b.sum()) - both)


def _read_masks(coco_path: Path) -> dict[str, list[NDArray[np.bool_]]]:
    """Outlines by picture, read back from the file that a user of the results would read."""
    from pycocotools import mask as rle_tools

    coco = json.loads(coco_path.read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    masks: dict[str, list[NDArray[np.bool_]]] = {}
    for each in sorted(coco["annotations"], key=lambda found: -found["score"]):
        masks.setdefault(names[each["image_id"]], []).append(
            rle_tools.decode(each["segmentation"]).astype(bool)
        )
    return masks


def result_table(results: dict[str, SceneResult]) -> Table:
    """One line a scene and one for all of them."""
    from rich.table import Table

    table = Table(title="What was found against what was drawn")
    table.add_column("scene")
    for head in ("drawn", f"found (IoU >= {FOUND_AT})", "missed", "false alarms", "mean IoU"):
        table.add_column(head, justify="right")
    for name, each in results.items():
        table.add_row(name, *_cells(each))
    everything = list(results.values())
    total = SceneResult(
        sum(each.drawn for each in everything),
        sum(each.found for each in everything),
        sum(each.false_alarms for each in everything),
        tuple(value for each in everything for value in each.overlaps),
    )
    table.add_section()
    table.add_row("all", *_cells(total), style="bold")
    return table


def _cells(result: SceneResult) -> tuple[str, ...]:
    overlaps = result.overlaps
    mean = f"{sum(overlaps) / len(overlaps):.2f}" if overlaps else "-"
    return str(result.drawn), str(result.found), str(result.missed), str(result.false_alarms), mean


def _write_sheet(path: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Lays pictures (left) beside their overlays (right)."""
    import numpy as np

    from oodseg.core.encoding import encode_png
    from oodseg.core.files import write_bytes
    from oodseg.io.images import read_image, resize

    height = SHEET_WIDTH * HEIGHT // WIDTH
    sheet = np.full((len(pairs) * (height + _GAP) + _GAP, 2 * SHEET_WIDTH + 3 * _GAP, 3), 255, np.uint8)
    for row, pair in enumerate(pairs):
        top = _GAP + row * (height + _GAP)
        for column, source in enumerate(pair):
            left = _GAP + column * (SHEET_WIDTH + _GAP)
            # An overlay goes on below the scene.
            small = resize(read_image(source)[:HEIGHT], height, SHEET_WIDTH)
            sheet[top : top + height, left : left + SHEET_WIDTH] = small
    write_bytes(path, encode_png(sheet))


def _command() -> str:
    """How this very program is called: its bare name where the shell finds it, else its path."""
    called = Path(sys.argv[0])
    if called.stem != "oodseg":
        return "oodseg"
    known = shutil.which("oodseg")
    return "oodseg" if known is not None and Path(known).resolve() == called.resolve() else str(called)


def _say_where(console: Console, out: Path, sheet: Path, command: str) -> None:
    from rich.text import Text

    lines = [
        "mean IoU: of every drawn object with the outline that fits it best.",
        "",
        f"picture | overlay of every scene   {sheet}",
        f"overlays at full size              {out / 'overlays'}",
        f"masks, confidence maps             {out / 'masks'}, {out / 'confidence'}",
        f"all objects in COCO form           {out / 'predictions.json'}",
        "",
        "Your own pictures (files, folders or quoted patterns):",
        f"    {command} predict PATH/TO/PICTURES --out found",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
