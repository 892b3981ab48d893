"""The gallery: each image with its score, boxes, mask and truth, worst first."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.evaluation.results import ImageRecord, Tile
from oodseg.report.html import percent

RGB = NDArray[np.uint8]
_HIT, _MISS, _FALSE, _IGNORED = (0, 158, 115), (213, 94, 0), (204, 121, 167), (150, 150, 150)
# A few stops of a perceptually even dark-to-bright ramp.
_RAMP = np.array(
    [(10, 10, 30), (70, 20, 110), (160, 40, 110), (235, 90, 70), (252, 180, 80), (252, 253, 190)]
)


def cards(tiles: Sequence[Tile], records: Sequence[ImageRecord]) -> list[dict[str, Any]]:
    """Describes the tiles for the page, in the order given.

    Args:
        tiles: The images.
        records: The first row's, found by name.
    """
    by_name = {record.name: record for record in records}
    return [_card(tile, by_name[tile.name]) for tile in tiles]


def legend(has_masks: bool) -> list[dict[str, Any]]:
    """Builds the colour legend."""
    found = [(_HIT, "anomaly found"), (_MISS, "anomaly missed"), (_FALSE, "false alarm")]
    entries = [*(found if has_masks else [(_MISS, "anomaly")]), (_IGNORED, "ignored by the set")]
    return [{"colour": colour, "name": name} for colour, name in entries]


def _card(tile: Tile, record: ImageRecord) -> dict[str, Any]:
    base = tile.image if tile.image is not None else np.full((*tile.label.shape, 3), 96, np.uint8)
    figures = [f"mean F1 {percent(record.mean_f1, 1)}"]
    if record.boxes is not None:
        figures.insert(0, f"IoU {percent(record.iou_threshold_free, 1)}")
        figures.append(f"{record.boxes} box{'' if record.boxes == 1 else 'es'}")
        figures.append(f"{record.false_alarms} false alarm{'' if record.false_alarms == 1 else 's'}")
    if not record.anomaly_pixels:
        figures.append("no anomaly in it, so IoU and F1 are 0 by definition")
    views = [
        ("image and boxes" if tile.boxes else "image", base, [_box(*box) for box in tile.boxes]),
        ("anomaly score (its own range)", heat(tile.score), []),
        ("mask against truth" if tile.mask is not None else "truth", _compare(base, tile), []),
    ]
    return {
        "name": tile.name,
        "figures": figures,
        "views": [
            {
                "title": title,
                "source": _data_address(pixels),
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "boxes": boxes,
            }
            for title, pixels, boxes in views
        ],
    }


def _box(x0: float, y0: float, x1: float, y1: float, confidence: float) -> dict[str, str]:
    """A box as SVG has it."""
    return {
        "x": f"{x0:.1f}",
        "y": f"{y0:.1f}",
        "width": f"{max(2.0, x1 - x0):.1f}",
        "height": f"{max(2.0, y1 - y0):.1f}",
        "text_x": f"{x0 + 2:.1f}",
        "text_y": f"{max(11.0, y0 - 3):.1f}",
        "confidence": f"{confidence:.2f}",
    }


def _compare(base: RGB, tile: Tile) -> RGB:
    """The image in grey with hits, misses and false alarms in colour."""
    shown: NDArray[np.float64] = (base.mean(axis=2, keepdims=True) * 0.55 + 60).repeat(3, axis=2)
    truth = tile.label == 1
    paint = [(tile.label == 255, _IGNORED, 0.45)]
    if tile.mask is None:
        paint.append((truth, _MISS, 0.75))
    else:
        paint += [
            (tile.mask & ~truth, _FALSE, 0.7),
            (truth & ~tile.mask, _MISS, 0.8),
            (truth & tile.mask, _HIT, 0.75),
        ]
    for where, colour, weight in paint:
        shown[where] = (1 - weight) * shown[where] + weight * np.array(colour)
    return np.asarray(shown.clip(0, 255), np.uint8)


def heat(score: NDArray[np.uint8]) -> RGB:
    """Colours uint8 `[H, W]` from dark (0) to bright (255)."""
    stops = np.linspace(0, 255, len(_RAMP))
    table = np.stack([np.interp(np.arange(256), stops, _RAMP[:, c]) for c in range(3)], axis=1)
    return np.asarray(table.astype(np.uint8)[score], np.uint8)


def _data_address(pixels: RGB) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=72, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
