"""Label Studio: a list of tasks as JSON, with brush strokes as pre-annotations, and the labelling interface.

    images/NAME
    tasks.json           to be imported
    label_config.xml     to be pasted under Labeling Interface, Code

Read is what Label Studio exports as "JSON": of every task the newest annotation. Tasks that nobody annotated
are left out, unless nobody annotated any: then the predictions are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY
from oodseg.core.files import write_bytes, write_json
from oodseg.core.objects import OodObject
from oodseg.core.version import __version__
from oodseg.exchange import brush
from oodseg.exchange.format import Format, any_case, load_json, peek_json, reading, visible
from oodseg.exchange.images import find_image, size_of
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.exchange.shapes import fill_ellipse, fill_polygon, turn, warn_left_out

FILE, CONFIG_FILE = "tasks.json", "label_config.xml"
_CONFIG = f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <BrushLabels name="label" toName="image">
    <Label value="{CATEGORY}" background="#dc143c"/>
    <Label value="{IGNORED}" background="#808080"/>
  </BrushLabels>
</View>
"""
# What Label Studio puts before the name of an uploaded file.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one task per image; nothing is lost."""
    root = out.resolve().name
    write_json(out / FILE, [_task(number, image, root) for number, image in enumerate(images, start=1)])
    write_bytes(out / CONFIG_FILE, _CONFIG.encode())
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads every file of tasks in a folder.

    Raises:
        DatasetError: A file is damaged, or a task without an annotation is of an image that is gone.
    """
    found: list[LabelledImage] = []
    for file in _files(root):
        with reading(file, "tasks of Label Studio"):
            tasks = load_json(file)
            kind = "annotations" if any(_drawn(task, "annotations") for task in tasks) else "predictions"
            found += [
                _image(task, newest, root) for task in tasks if (newest := _drawn(task, kind)) is not None
            ]
    return found


def matches(root: Path) -> bool:
    """Tells whether there is such a file."""
    return next(_files(root), None) is not None


def _task(number: int, image: LabelledImage, root: str) -> dict[str, Any]:
    results = []
    for position, (label, each) in enumerate(image.labelled()):
        results.append(
            {
                "id": f"{number}-{position}",
                "type": "brushlabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": image.width,
                "original_height": image.height,
                "image_rotation": 0,
                "score": round(each.confidence, 6),
                "value": {"format": "rle", "rle": brush.encode(each.mask), "brushlabels": [label]},
            }
        )
    score = max((each.confidence for each in image.objects), default=0.0)
    data = {
        "image": f"/data/local-files/?d={root}/images/{image.name}",
        "name": image.name,
        "width": image.width,
        "height": image.height,
    }
    prediction = {"model_version": f"oodseg {__version__}", "score": round(score, 6), "result": results}
    return {"id": number, "data": data, "predictions": [prediction]}


def _files(root: Path) -> Iterator[Path]:
    for file in sorted(visible(root.glob(any_case("*.json")))):
        tasks = peek_json(file)
        if isinstance(tasks, list) and (not tasks or isinstance(tasks[0], dict)):
            known = tasks[0].keys() if tasks else {"data", "predictions"}
            if "data" in known and {"annotations", "predictions"} & known and (tasks or file.name == FILE):
                yield file


def _drawn(task: dict[str, Any], kind: str) -> list[dict[str, Any]] | None:
    """The shapes of a task's newest annotation (prediction); None where it has none."""
    given = [
        each for each in task.get(kind) or () if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    if not given:
        return None
    shapes: list[dict[str, Any]] = max(given, key=lambda each: str(each.get("updated_at", "")))["result"]
    return shapes


def _image(task: dict[str, Any], shapes: list[dict[str, Any]], root: Path) -> LabelledImage:
    name = str(task["data"].get("name") or _name_of(task["data"]["image"]))
    path = find_image(root, name)
    sizes = [(each["original_height"], each["original_width"]) for each in shapes if "original_width" in each]
    if not sizes and "width" in task["data"]:
        sizes = [(task["data"]["height"], task["data"]["width"])]
    if not sizes and path is None:
        raise ValueError(f"nothing says how large {name} is: put the images into images/ beside it")
    height, width = sizes[0] if sizes else size_of(path)  # type: ignore[arg-type]
    labelled = []
    for each in shapes:
        mask = _fill(each, height, width)
        if mask is not None and mask.any():
            confidence = each.get("score")
            found = OodObject.from_mask(mask, 1.0 if confidence is None else confidence)
            labelled.append((_label_of(each), found))
        elif mask is not None or "vertices" in each["value"]:  # choices and texts are no shapes
            warn_left_out(name, _label_of(each), str(each.get("type", "shape")))
    return LabelledImage.from_labelled(name, height, width, labelled, path)


def _name_of(address: str) -> str:
    """The name of an image from its address: a local file, an upload, or anything with a path."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    path = local[0] if local else unquote(parts.path)
    return _UPLOAD.sub("", path.rsplit("/", 1)[-1])


def _label_of(shape: dict[str, Any]) -> str:
    value = shape["value"]
    labels = next((value[key] for key in value if key.endswith("labels") and value[key]), [CATEGORY])
    return str(labels[0])


def _fill(shape: dict[str, Any], height: int, width: int) -> NDArray[np.bool_] | None:
    """The pixels of a shape, bool `[H, W]`; None for what is none, such as a choice."""
    value = shape["value"]
    if "rle" in value:
        return brush.decode(value["rle"], height, width)
    scale = np.array([width, height]) / 100  # shapes are in percent
    if "points" in value:
        return fill_polygon(np.asarray(value["points"], np.float64) * scale, height, width)
    if "radiusX" in value:
        centre = np.array([value["x"], value["y"]]) * scale
        radii = np.array([value["radiusX"], value["radiusY"]]) * scale
        return fill_ellipse(centre.tolist(), radii.tolist(), height, width, float(value.get("rotation", 0)))
    if {"x", "y", "width", "height"} <= value.keys():
        left, top = np.array([value["x"], value["y"]]) * scale
        right, bottom = np.array([value["x"] + value["width"], value["y"] + value["height"]]) * scale
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        # Turned around their first corner.
        return fill_polygon(turn(corners, corners[0], float(value.get("rotation", 0))), height, width)
    return None


FORMAT = Format("Label Studio", "tasks.json (exported as JSON), images/", write, read, matches)
