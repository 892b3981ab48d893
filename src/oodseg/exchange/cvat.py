"""CVAT for images 1.1: one XML file; masks as run lengths in their box, row by row, zeros first.

    images/NAME
    annotations.xml

Polygons, boxes and ellipses that people drew are filled; lines, points and cuboids are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from numpy.typing import NDArray

from oodseg.core.coco import CATEGORY
from oodseg.core.files import write_bytes
from oodseg.core.objects import OodObject
from oodseg.exchange.format import Format, reading
from oodseg.exchange.images import find_image, name_in_labels
from oodseg.exchange.labels import IGNORED, LabelledImage
from oodseg.exchange.shapes import cut_out, fill_box, fill_ellipse, fill_polygon, put_back, warn_left_out

FILE = "annotations.xml"
_CONFIDENCE = "confidence"
_COLOURS = {CATEGORY: "#dc143c", IGNORED: "#808080"}


def write(images: Iterable[LabelledImage], out: Path) -> list[str]:
    """Writes one file for all images; nothing is lost."""
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    labels = Xml.SubElement(Xml.SubElement(Xml.SubElement(root, "meta"), "task"), "labels")
    for name, colour in _COLOURS.items():
        _describe_label(labels, name, colour)
    for number, image in enumerate(images):
        size = {"width": str(image.width), "height": str(image.height)}
        element = Xml.SubElement(root, "image", {"id": str(number), "name": image.name, **size})
        for label, each in image.labelled():
            _add_mask(element, label, each)
    Xml.indent(root)
    write_bytes(out / FILE, Xml.tostring(root, encoding="utf-8", xml_declaration=True))
    return []


def read(root: Path) -> list[LabelledImage]:
    """Reads the file.

    Raises:
        DatasetError: It is damaged.
    """
    with reading(root / FILE, "annotations of CVAT for images"):
        return [_image(element, root) for element in Xml.parse(root / FILE).getroot().iter("image")]


def matches(root: Path) -> bool:
    """Tells whether there is such a file."""
    return (root / FILE).is_file()


def encode(mask: NDArray[np.bool_]) -> str:
    """Encodes a mask, bool `[h, w]`, as CVAT does: lengths of runs row by row, the first one of zeros."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return ", ".join(map(str, ([0] if flat[0] else []) + lengths))


def decode(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """Decodes what `encode` wrote.

    Raises:
        ValueError: The runs are not `height` times `width` long.
    """
    lengths = [int(each) for each in text.split(",")]
    if sum(lengths) != height * width or min(lengths) < 0:
        raise ValueError(f"the run lengths of a mask do not add up to {width}x{height} pixels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)


def _describe_label(labels: Xml.Element, name: str, colour: str) -> None:
    label = Xml.SubElement(labels, "label")
    for key, value in (("name", name), ("color", colour), ("type", "any")):
        Xml.SubElement(label, key).text = value
    attribute = Xml.SubElement(Xml.SubElement(label, "attributes"), "attribute")
    facts = {
        "name": _CONFIDENCE,
        "mutable": "False",
        "input_type": "text",
        "default_value": "1",
        "values": "1",
    }
    for key, value in facts.items():
        Xml.SubElement(attribute, key).text = value


def _add_mask(element: Xml.Element, label: str, found: OodObject) -> None:
    left, top, cut = cut_out(found)
    place = {"left": left, "top": top, "width": cut.shape[1], "height": cut.shape[0]}
    mask = Xml.SubElement(
        element,
        "mask",
        {
            "label": label,
            "source": "auto",
            "occluded": "0",
            "rle": encode(cut),
            **{key: str(value) for key, value in place.items()},
            "z_order": "0",
        },
    )
    Xml.SubElement(mask, "attribute", {"name": _CONFIDENCE}).text = f"{round(found.confidence, 6):g}"


def _image(element: Xml.Element, root: Path) -> LabelledImage:
    name, height, width = element.attrib["name"], int(element.attrib["height"]), int(element.attrib["width"])
    name = name_in_labels(name)
    labelled = list(_outlines(element, height, width))
    return LabelledImage.from_labelled(name, height, width, labelled, find_image(root, name))


def _outlines(image: Xml.Element, height: int, width: int) -> Iterator[tuple[str, OodObject]]:
    for shape in image:
        mask = _fill(shape, height, width)
        if mask is not None and mask.any():
            given = shape.findtext(f"attribute[@name='{_CONFIDENCE}']")
            yield shape.attrib["label"], OodObject.from_mask(mask, float(given or 1))
        elif shape.tag != "tag":  # tags are of the image
            warn_left_out(image.attrib["name"], shape.attrib["label"], shape.tag)


def _fill(shape: Xml.Element, height: int, width: int) -> NDArray[np.bool_] | None:
    """The pixels of a shape, bool `[H, W]`; None for what has no inside."""
    known, turned = shape.attrib, float(shape.attrib.get("rotation", 0))
    if shape.tag == "mask":
        cut = decode(known["rle"], int(known["height"]), int(known["width"]))
        return put_back(cut, int(known["left"]), int(known["top"]), height, width)
    if shape.tag == "polygon":
        return fill_polygon([pair.split(",") for pair in known["points"].split(";")], height, width)
    if shape.tag == "box":
        left, top, right, bottom = (float(known[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        return fill_box(left, top, right, bottom, height, width, turned)
    if shape.tag == "ellipse":
        centre, radii = ([float(known[key]) for key in keys] for keys in (("cx", "cy"), ("rx", "ry")))
        return fill_ellipse(centre, radii, height, width, turned)
    return None


FORMAT = Format("CVAT for images 1.1", "annotations.xml, images/", write, read, matches)
