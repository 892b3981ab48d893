"""The gallery: each picture with its score, boxes, mask and truth, worst first."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from oodseg.evaluation.results import PictureRecord, Tile

RGB = NDArray[np.uint8]
_HIT, _MISS, _FALSE, _IGNORED = (0, 158, 115), (213, 94, 0), (204, 121, 167), (150, 150, 150)
# A few stops of a perceptually even dark-to-bright ramp.
_RAMP = np.array(
    [(10, 10, 30), (70, 20, 110), (160, 40, 110), (235, 90, 70), (252, 180, 80), (252, 253, 190)]
)


def gallery(tiles: Sequence[Tile], records: Sequence[PictureRecord]) -> str:
    """Lays out the tiles in the order given; `records` are the first row's, found by name."""
    by_name = {record.name: record for record in records}
    return "".join(_card(tile, by_name[tile.name]) for tile in tiles)


def legend(has_masks: bool) -> str:
    """What the colours mean."""
    found = [(_HIT, "anomaly found"), (_MISS, "anomaly missed"), (_FALSE, "false alarm")]
    entries = [*(found if has_masks else [(_MISS, "anomaly")]), (_IGNORED, "ignored by the set")]
    items = "".join(
        f'<li><span class="swatch" style="background:rgb{colour}"></span>{name}</li>'
        for colour, name in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _card(tile: Tile, record: PictureRecord) -> str:
    base = tile.picture if tile.picture is not None else np.full((*tile.label.shape, 3), 96, np.uint8)
    views = [
        ("picture and boxes" if tile.boxes else "picture", base, _boxes(tile)),
        ("anomaly score (its own range)", heat(tile.score), ""),
        ("mask against truth" if tile.mask is not None else "truth", _compare(base, tile), ""),
    ]
    figures = [f"IoU {_percent(record.iou_threshold_free)}" if record.boxes is not None else "",
               f"mean F1 {_percent(record.mean_f1)}"]  # fmt: skip
    if record.boxes is not None:
        figures.append(f"{record.boxes} box{'' if record.boxes == 1 else 'es'}")
        figures.append(f"{record.false_alarms} false alarm{'' if record.false_alarms == 1 else 's'}")
    if not record.anomaly_pixels:
        figures.append("no anomaly in it, so IoU and F1 are 0 by definition")
    images = "".join(
        f'<figure><div class="view">{_image(pixels, f"{tile.name}: {title}")}{over}</div>'
        f"<figcaption>{title}</figcaption></figure>"
        for title, pixels, over in views
    )
    return (
        f'<article class="card"><h4>{escape(tile.name)} '
        f"<small>{' · '.join(figure for figure in figures if figure)}</small></h4>"
        f'<div class="views">{images}</div></article>'
    )


def _boxes(tile: Tile) -> str:
    height, width = tile.label.shape
    if not tile.boxes:
        return ""
    drawn = "".join(
        f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{max(2.0, x1 - x0):.1f}" height="{max(2.0, y1 - y0):.1f}">'
        f"<title>confidence {confidence:.2f}</title></rect>"
        f'<text x="{x0 + 2:.1f}" y="{max(11.0, y0 - 3):.1f}">{confidence:.2f}</text>'
        for x0, y0, x1, y1, confidence in tile.boxes
    )
    return f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{drawn}</svg>'


def _compare(base: RGB, tile: Tile) -> RGB:
    """The picture in grey with hits, misses and false alarms in colour."""
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


def _image(pixels: RGB, alt: str) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=72)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    height, width = pixels.shape[:2]
    return (
        f'<img src="data:image/webp;base64,{data}" alt="{escape(alt, quote=True)}" '
        f'width="{width}" height="{height}" loading="lazy">'
    )


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"
