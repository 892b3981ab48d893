"""A prediction on a screen: HTML for notebooks, matplotlib axes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_extra
from oodseg.core.objects import OodObject
from oodseg.core.overlay import caption, colour_of, draw_objects, number_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 50  # a notebook is no place for a longer table


def to_html(
    title: str, objects: Sequence[OodObject], height: int, width: int, png: bytes | None, missing: str = ""
) -> str:
    """Builds self-contained HTML: the overlay and a table of the objects.

    Args:
        title: Name of the image; escaped here.
        objects: Most confident first; the table has 50 rows at most.
        height: Rows of the image.
        width: Columns of the image.
        png: The overlay; None where there is no image.
        missing: Why there is none; escaped here.
    """
    head = f"{escape(title)} &middot; {width} &times; {height} &middot; {caption(len(objects))}"
    parts = [f'<div style="font-family: sans-serif"><p style="margin: 0.3em 0"><b>{head}</b></p>']
    if png is None:
        parts.append(f"<p><i>{escape(missing)}</i></p>")
    else:
        data = b64encode(png).decode("ascii")
        parts.append(
            f'<img alt="{escape(title)}" style="max-width: 100%" src="data:image/png;base64,{data}">'
        )
    if objects:
        names = ("", "confidence", "x", "y", "width", "height", "area", "share")
        parts.append("<table><tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>")
        parts += [_row(position, found, height * width) for position, found in enumerate(objects[:_ROWS])]
        parts.append("</table>")
    if len(objects) > _ROWS:
        parts.append(f"<p>and {len(objects) - _ROWS} more</p>")
    return "".join([*parts, "</div>"])


def _row(position: int, found: OodObject, pixels: int) -> str:
    number = number_of(found, position)
    colour = "#{:02x}{:02x}{:02x}".format(*colour_of(number))
    swatch = f'<span style="color: {colour}">&#9632;</span> {number}'
    box = [f"{value:.0f}" for value in found.bbox]
    cells = [swatch, f"{found.confidence:.2f}", *box, str(found.area), f"{100 * found.area / pixels:.2f} %"]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def plot_objects(
    image: NDArray[np.uint8], objects: Sequence[OodObject], title: str, axes: Axes | None = None
) -> Axes:
    """Draws an image with its objects into matplotlib axes.

    Args:
        image: uint8 `[H, W, 3]` RGB.
        objects: Most confident first.
        title: Above the axes.
        axes: Where to; None makes a figure.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if axes is None:
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("matplotlib"):
                raise
            raise MissingDependencyError(
                f"plots need matplotlib: install it with `{install_extra('notebook')}`"
            ) from error
        ratio = image.shape[0] / image.shape[1]
        axes = pyplot.subplots(figsize=(10, min(12, 10 * ratio + 0.5)), layout="constrained")[1]
    axes.imshow(draw_objects(image, objects))
    axes.set_title(title, loc="left", parse_math=False)
    axes.set_axis_off()
    return axes
