"""Outlines unknown objects with ONNX Runtime alone: numpy, OpenCV and the graphs beside this file.

python onnx_predict.py photos/ street.jpg --out found      masks, overlays and predictions.json (COCO)

From Python: `Predictor().predict(image)` takes uint8 `[H, W, 3]`, RGB.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from math import ceil, floor
from pathlib import Path
from typing import Any

try:
    import cv2
    import numpy as np
    import onnxruntime
except ModuleNotFoundError as error:
    if __name__ == "__main__":
        sys.exit(f"{error.name} is missing: pip install numpy opencv-python-headless onnxruntime")
    if error.name != "onnxruntime":  # which nothing needs before graphs are opened
        raise

FOLDER = Path(__file__).parent
CPU = ("CPUExecutionProvider",)
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
COLOURS = [(0, 159, 230), (233, 180, 86), (167, 121, 204), (66, 228, 240), (115, 158, 0)]  # BGR
INK, PAPER = (26, 22, 20), (255, 255, 255)


class Predictor:
    """The pipeline in the `folder` of `oodseg export`; providers and threads are those of ONNX Runtime."""

    def __init__(self, folder: str | Path = FOLDER, providers: Sequence[str] = CPU, threads: int = 0) -> None:
        self.rules = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8-sig"))
        options, start = onnxruntime.SessionOptions(), onnxruntime.InferenceSession
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        files = {name: str(Path(folder) / each["file"]) for name, each in self.rules["graphs"].items()}
        self.graphs = {name: start(file, options, providers=list(providers)) for name, file in files.items()}

    def run(self, name: str, **inputs: Any) -> dict[str, Any]:
        """Runs one graph; float32 arrays by name in and out; what it does not take is left aside."""
        taken = {each.name: inputs[each.name] for each in self.graphs[name].get_inputs()}
        found = self.graphs[name].run(None, taken)
        return dict(zip(self.rules["graphs"][name]["outputs"], found, strict=True))

    def predict(self, image: Any) -> tuple[Any, Any, Any]:
        """Finds masks bool `[N, H, W]`, boxes `[N, 4]` (xyxy), confidence `[N]` in bytes `[H, W, 3]`, RGB."""
        height, width = image.shape[:2]
        least, most = self.rules["working_side"]
        scale = min(max(max(height, width) / 2, least), most, max(height, width)) / max(height, width)
        h, w = max(16, round(height * scale)), max(16, round(width * scale))
        large = "detailed" in self.graphs and 2 * max(h, w) <= max(height, width)
        detector, size = ("detailed", (2 * w, 2 * h)) if large else ("detector", (w, h))
        seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        seen_as = self.run(detector, image=as_input(seen))
        found = self.run("prompts", **seen_as)
        zoom, limit = (np.array(pair * 2, np.float32) for pair in ([width / w, height / h], [width, height]))
        boxes = np.clip(found["boxes"] * zoom, 0, limit)
        masks = np.zeros((len(boxes), height, width), bool)
        shown = self.run("encoder", image=as_input(image)) if len(boxes) else {}
        shown["score"] = seen_as["score"]
        regions = self.outline(masks, boxes, shown)
        cut = list(range(len(boxes)))
        for _ in range(self.rules["growth"]["rounds"]):
            # A mask that runs out of its crop is drawn again in a larger box.
            cut = [each for each in cut if masks[each].any() and self.cut_off(masks[each], regions[each])]
            tight = np.array([cv2.boundingRect(masks[each].view(np.uint8)) for each in cut], np.float32)
            corner, sides = np.hsplit(tight.reshape(-1, 4), 2)
            wider = np.hstack([corner, corner + sides])
            drawn, still = np.zeros((len(cut), height, width), bool), []
            for each, mask, region in zip(cut, drawn, self.outline(drawn, wider, shown), strict=True):
                held = self.rules["growth"]["held_share"] * np.count_nonzero(masks[each])
                if np.count_nonzero(mask & masks[each]) >= held:
                    masks[each], regions[each] = mask, region
                    still.append(each)
            cut = still
        kept = self.wholes(masks, found["confidence"])
        return masks[kept], boxes[kept], found["confidence"][kept]

    def outline(self, masks: Any, boxes: Any, shown: Any) -> Any:
        """Draws the object in every box into `masks`; gives what the crops cover, `[N, 4]`."""
        regions = np.zeros((len(boxes), 4), np.float32)
        for start in range(0, len(boxes), self.rules["boxes_at_once"]):
            part = slice(start, start + self.rules["boxes_at_once"])
            drawn = self.run("decoder", **shown, boxes=boxes[part])
            regions[part] = drawn["regions"]
            for mask, box, logits, region in zip(masks[part], boxes[part], *drawn.values(), strict=True):
                self.paste(mask, box, logits, region)
        return regions

    def cut_off(self, mask: Any, region: Any) -> bool:
        """Tells whether a mask runs along a side of its crop that lies inside the image."""
        height, width = mask.shape
        left, top = np.ceil(region[:2] - 0.5).astype(int).tolist()
        right, bottom = np.floor(region[2:] - 0.5).astype(int).tolist()
        share = self.rules["growth"]["edge_share"]
        rows = [mask[each] for each, inside in ((top, top > 0), (bottom, bottom < height - 1)) if inside]
        columns = [mask[:, each] for each, inside in ((left, left > 0), (right, right < width - 1)) if inside]
        sides = (rows, right - left + 1), (columns, bottom - top + 1)
        return any(np.count_nonzero(each) > share * length for lines, length in sides for each in lines)

    def wholes(self, masks: Any, confidence: Any) -> list[int]:
        """Chooses the masks that are no part of a more confident one, most confident first."""
        kept: list[int] = []
        for index in np.argsort(-confidence, kind="stable").tolist():
            least = self.rules["part_share"] * np.count_nonzero(masks[index])
            if not any(np.count_nonzero(masks[index] & masks[whole]) >= least for whole in kept):
                kept.append(index)
        return kept

    def paste(self, mask: Any, box: Any, logits: Any, region: Any) -> None:
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
        keep = stats[:, cv2.CC_STAT_AREA] >= self.rules["smallest_share"] * stats[1:, cv2.CC_STAT_AREA].sum()
        above_box = labels[max(top - rows.start, 0) :, max(left - columns.start, 0) :]
        inside = above_box[: bottom - max(top, rows.start), : right - max(left, columns.start)]
        keep &= np.isin(np.arange(len(keep)), inside[inside > 0])
        if keep.any():
            mask[rows, columns] = keep[labels]
        else:
            mask[top:bottom, left:right] = True


def as_input(image: Any) -> Any:
    """Converts bytes `[H, W, 3]` to float32 `[1, 3, H, W]` in 0..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def encode(mask: Any) -> dict[str, Any]:
    """Encodes a mask in run lengths as COCO compresses them: column by column, six bits to a character."""
    flat = np.concatenate([[0], mask.ravel(order="F").view(np.uint8), [0]])
    edges = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    counts = counts[: len(counts) - (counts[-1] == 0 and len(counts) > 1)]
    text = ""
    for index, count in enumerate(counts):
        rest, more = count - (counts[index - 2] if index > 2 else 0), True
        while more:
            bits, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if bits & 0x10 else 0)
            text += chr((bits | 0x20 if more else bits) + 48)
    return {"size": list(mask.shape), "counts": text}


def annotations(masks: Any, confidence: Any, image_id: int, first: int) -> list[dict[str, Any]]:
    """Lists the objects of one image as COCO does."""
    found: list[dict[str, Any]] = []
    for mask, sure in zip(masks, confidence.tolist(), strict=True):
        one = {"id": first + len(found), "image_id": image_id, "category_id": 1, "segmentation": encode(mask)}
        one |= {"bbox": list(cv2.boundingRect(mask.view(np.uint8))), "area": int(mask.sum()), "iscrowd": 0}
        found.append({**one, "score": round(sure, 6)})
    return found


def draw(image: Any, masks: Any, confidence: Any) -> Any:
    """Draws outlines and labels over a copy of BGR bytes; those of small objects are thin."""
    canvas, (height, width), font = image.copy(), image.shape[:2], cv2.FONT_HERSHEY_SIMPLEX
    unit = max(1.0, (height * width) ** 0.5 / 1000)
    stroke, gap = max(1, round(unit)), round(8 * unit)
    for index, (mask, sure) in enumerate(zip(masks, confidence.tolist(), strict=True)):
        line, colour = stroke if mask.mean() < 0.01 else round(2 * unit), COLOURS[index % len(COLOURS)]
        edges, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.polylines(canvas, edges, True, INK, 3 * line, cv2.LINE_AA)
        cv2.polylines(canvas, edges, True, colour, line, cv2.LINE_AA)
        x, y, across, down = cv2.boundingRect(mask.view(np.uint8))
        text = f"{index + 1}  {sure:.2f}"
        (wide, high), _ = cv2.getTextSize(text, font, 0.45 * unit, stroke)
        # Above the object, or below it where there is no room.
        top = y - 2 * gap - high if y > 2 * gap + high else min(y + down + gap, height - high - gap)
        left = min(max(0, x + (across - wide) // 2), max(0, width - wide - gap))
        cv2.rectangle(canvas, (left - gap // 2, top), (left + wide + gap // 2, top + high + gap), INK, -1)
        place = (left, top + high + gap // 2)
        cv2.putText(canvas, text, place, font, 0.45 * unit, PAPER, stroke, cv2.LINE_AA)
    return canvas


def find(inputs: list[str], out: Path) -> Iterator[tuple[Path, str]]:
    """Finds images in files, folders but `out`, lists (`.txt`) and standard input (`-`), and names them."""
    taken: set[str] = set()
    for each in inputs:
        path = Path(each)
        if each == "-" or (path.suffix.lower() == ".txt" and path.is_file()):
            lines = sys.stdin if each == "-" else path.read_text(encoding="utf-8-sig").splitlines()
            files = [(Path(line.strip()), Path(line.strip()).name) for line in lines if line.strip()]
        elif path.is_dir():
            inside = [(file, file.relative_to(path)) for file in sorted(path.rglob("*"))]
            own = [each for each in inside if out.resolve() not in each[0].resolve().parents]
            seen = [each for each in own if not any(part.startswith(".") for part in each[1].parts)]
            files = [(file, name.as_posix()) for file, name in seen if file.suffix.lower() in SUFFIXES]
        else:
            files = [(path, path.name)]
        for file, wanted in files:
            name, number, plain = wanted, 2, Path(wanted)
            while str(Path(name).with_suffix("")) in taken:  # results know no suffix
                name, number = plain.with_stem(f"{plain.stem}-{number}").as_posix(), number + 1
            taken.add(str(Path(name).with_suffix("")))
            yield file, name


def read(path: Path) -> Any:
    """Reads an image as BGR bytes `[H, W, 3]`, upright."""
    if not path.is_file():
        raise ValueError("does not exist")
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if (data := np.fromfile(path, np.uint8)).size else None
    if image is None:
        raise ValueError("is not an image that OpenCV can read")
    return image


def write(path: Path, content: Any) -> None:
    """Writes an image, or bytes, whole or not at all."""
    data = content if isinstance(content, bytes) else cv2.imencode(path.suffix, content)[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(".unfinished")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    here = onnxruntime.get_available_providers()
    parser = argparse.ArgumentParser(description="Outline unknown objects in street images, without torch.")
    add = parser.add_argument
    add("inputs", nargs="+", help="images, folders, .txt lists of paths, or - for a list on standard input")
    add("--out", type=Path, default=Path("onnx-results"), help="folder for the results (%(default)s)")
    which = f"with commas, the best first; of {', '.join(here)}"
    add("--providers", default="CPUExecutionProvider", help=which)
    add("--threads", type=int, default=0, help="of ONNX Runtime; 0 for one a core")
    add("--min-confidence", type=float, default=0.0, help="least confidence of an object, 0..1")
    add("--no-overlays", action="store_true", help="write no overlays")
    parsed = parser.parse_args()
    parsed.providers = tuple(parsed.providers.split(","))
    missing = next((each for each in parsed.providers if each not in here), "")
    for fault, sentence in (
        (missing, f"this ONNX Runtime has no {missing}; it has {', '.join(here)}"),
        ("" in parsed.inputs, "one of the inputs is empty: check the variables of your shell"),
        (not 0 <= parsed.min_confidence <= 1, "--min-confidence is a number from 0 to 1"),
        (parsed.out.exists() and not parsed.out.is_dir(), f"{parsed.out} is a file: choose a folder (--out)"),
    ):
        if fault:
            parser.error(sentence)
    return parsed


def main() -> int:
    """Predicts every image; returns 1 if one could not be read or there is none, 130 if interrupted."""
    given, code = arguments(), 0
    images, objects, failed = list[Any](), list[Any](), dict[str, str]()
    try:
        predictor = Predictor(FOLDER, given.providers, given.threads)
    except Exception as error:  # the manifest or a graph is damaged, or was left behind
        sys.exit(f"{FOLDER} is not whole ({str(error).splitlines()[0]}): copy it again, or export once more")
    try:
        for path, name in find(given.inputs, given.out):
            try:
                image = read(path)
                masks, _, confidence = predictor.predict(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                sure = confidence >= given.min_confidence
                masks, confidence = masks[sure], confidence[sure]
                write(given.out / "masks" / Path(name).with_suffix(".png"), masks.any(0) * np.uint8(255))
                if not given.no_overlays:
                    drawn = draw(image, masks, confidence)
                    write(given.out / "overlays" / Path(name).with_suffix(".jpg"), drawn)
            except Exception as error:  # whatever one image does, the others are done
                failed[str(path)] = str(error)
                print(f"{path} {error}", file=sys.stderr)
                continue
            height, width = image.shape[:2]
            images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
            objects += annotations(masks, confidence, len(images), len(objects) + 1)
            print(f"{name}: {len(masks)} unknown object{'' if len(masks) == 1 else 's'}")
    except KeyboardInterrupt:
        code = 130
    finally:
        info = {**{key: predictor.rules[key] for key in ("oodseg", "pipeline")}, "failed": failed}
        found = {"info": info, "images": images, "annotations": objects}
        text = json.dumps({**found, "categories": [{"id": 1, "name": "unknown"}]})
        write(given.out / "predictions.json", text.encode())
    print(f"wrote {given.out}: {len(objects)} unknown objects in {len(images)} images, {len(failed)} failed")
    return code or int(bool(failed) or not images)


if __name__ == "__main__":
    sys.exit(main())
