"""Outlines unknown objects with ONNX Runtime alone: numpy, OpenCV and the graphs beside this file.

python onnx_predict.py street.jpg ...     writes ./street_mask.png (255 = unknown), prints boxes
"""

import json
import sys
from math import ceil, floor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
RULES = json.loads((FOLDER / "manifest.json").read_text())
GRAPHS = {name: onnxruntime.InferenceSession(FOLDER / each["file"]) for name, each in RULES["graphs"].items()}


def run(name: str, **inputs: Any) -> dict[str, Any]:
    """Runs one graph; float32 arrays by name in and out; what it does not take is left aside."""
    taken = {each.name: inputs[each.name] for each in GRAPHS[name].get_inputs()}
    return dict(zip(RULES["graphs"][name]["outputs"], GRAPHS[name].run(None, taken), strict=True))


def as_input(image: Any) -> Any:
    """Bytes `[H, W, 3]` to float32 `[1, 3, H, W]` in 0..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def predict(image: Any) -> tuple[Any, Any, Any]:
    """Takes uint8 `[H, W, 3]`, RGB; gives masks bool `[N, H, W]`, boxes `[N, 4]` (xyxy), confidence `[N]`."""
    height, width = image.shape[:2]
    least, most = RULES["working_side"]
    scale = min(max(max(height, width) / 2, least), most, max(height, width)) / max(height, width)
    h, w = max(16, round(height * scale)), max(16, round(width * scale))
    large = "detailed" in GRAPHS and 2 * max(h, w) <= max(height, width)
    detector, size = ("detailed", (2 * w, 2 * h)) if large else ("detector", (w, h))
    seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    seen_as = run(detector, image=as_input(seen))
    found = run("prompts", **seen_as)
    zoom, limit = (np.array(pair * 2, np.float32) for pair in ([width / w, height / h], [width, height]))
    boxes = np.clip(found["boxes"] * zoom, 0, limit)
    masks = np.zeros((len(boxes), height, width), bool)
    shown = run("encoder", image=as_input(image)) if len(boxes) else {}
    shown["score"] = seen_as["score"]
    regions = outline(masks, boxes, shown)
    cut = list(range(len(boxes)))
    for _ in range(RULES["growth"]["rounds"]):
        # A mask that runs out of its crop is drawn again in a larger box.
        cut = [each for each in cut if masks[each].any() and cut_off(masks[each], regions[each])]
        wider = np.array([tight_box(masks[each]) for each in cut], np.float32).reshape(-1, 4)
        drawn, still = np.zeros((len(cut), height, width), bool), []
        for each, mask, region in zip(cut, drawn, outline(drawn, wider, shown), strict=True):
            held = RULES["growth"]["held_share"] * np.count_nonzero(masks[each])
            if np.count_nonzero(mask & masks[each]) >= held:
                masks[each], regions[each] = mask, region
                still.append(each)
        cut = still
    kept = wholes(masks, found["confidence"])
    return masks[kept], boxes[kept], found["confidence"][kept]


def outline(masks: Any, boxes: Any, shown: Any) -> Any:
    """Draws the object in every box into `masks`; gives what the crops cover, `[N, 4]`."""
    regions = np.zeros((len(boxes), 4), np.float32)
    for start in range(0, len(boxes), RULES["boxes_at_once"]):
        part = slice(start, start + RULES["boxes_at_once"])
        drawn = run("decoder", **shown, boxes=boxes[part])
        regions[part] = drawn["regions"]
        for mask, box, logits, region in zip(masks[part], boxes[part], *drawn.values(), strict=True):
            paste(mask, box, logits, region)
    return regions


def tight_box(mask: Any) -> tuple[int, int, int, int]:
    """Returns the smallest box, xyxy, around a mask that is not empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def cut_off(mask: Any, region: Any) -> bool:
    """Tells whether a mask runs along a side of its crop that lies inside the image."""
    height, width = mask.shape
    left, top = np.ceil(region[:2] - 0.5).astype(int).tolist()
    right, bottom = np.floor(region[2:] - 0.5).astype(int).tolist()
    share = RULES["growth"]["edge_share"]
    rows = [mask[each] for each, inside in ((top, top > 0), (bottom, bottom < height - 1)) if inside]
    columns = [mask[:, each] for each, inside in ((left, left > 0), (right, right < width - 1)) if inside]
    return any(np.count_nonzero(each) > share * (right - left + 1) for each in rows) or any(
        np.count_nonzero(each) > share * (bottom - top + 1) for each in columns
    )


def wholes(masks: Any, confidence: Any) -> list[int]:
    """Indices of the masks that are no part of a more confident one, most confident first."""
    kept: list[int] = []
    for index in np.argsort(-confidence, kind="stable").tolist():
        least = RULES["part_share"] * np.count_nonzero(masks[index])
        if not any(np.count_nonzero(masks[index] & masks[whole]) >= least for whole in kept):
            kept.append(index)
    return kept


def paste(mask: Any, box: Any, logits: Any, region: Any) -> None:
    """Draws into `mask` what the logits over `region` outline; the filled box where that is nothing."""
    height, width = mask.shape
    x0, y0, x1, y1 = region.tolist()
    rows = slice(max(0, ceil(y0 - 0.5)), min(height, floor(y1 - 0.5) + 1))
    columns = slice(max(0, ceil(x0 - 0.5)), min(width, floor(x1 - 0.5) + 1))
    sx, sy = logits.shape[1] / (x1 - x0), logits.shape[0] / (y1 - y0)
    shift = (columns.start + 0.5 - x0) * sx - 0.5, (rows.start + 0.5 - y0) * sy - 0.5
    to_crop = np.array([[sx, 0, shift[0]], [0, sy, shift[1]]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    above = cv2.warpAffine(logits, to_crop, size, flags=how, borderMode=cv2.BORDER_REPLICATE) > 0
    # Kept are the connected parts that reach into the box and are no specks.
    left, top = min(floor(box[0] + 0.01), width - 1), min(floor(box[1] + 0.01), height - 1)
    right, bottom = max(ceil(box[2] - 0.01), left + 1), max(ceil(box[3] - 0.01), top + 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= RULES["smallest_share"] * stats[1:, cv2.CC_STAT_AREA].sum()
    inside = labels[
        max(top - rows.start, 0) : bottom - rows.start, max(left - columns.start, 0) : right - columns.start
    ]
    keep &= np.isin(np.arange(len(keep)), inside[inside > 0])
    if keep.any():
        mask[rows, columns] = keep[labels]
    else:
        mask[top:bottom, left:right] = True


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            sys.exit(f"{path} is not an image")
        masks, boxes, confidence = predict(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        cv2.imwrite(path.stem + "_mask.png", masks.any(0) * np.uint8(255))
        for box, sure in zip(boxes.round(1).tolist(), confidence.tolist(), strict=True):
            print(f"{path.name}: box {box}, confidence {sure:.2f}")
