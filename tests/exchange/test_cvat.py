from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_cases import SIZE

from oodseg.core.errors import DatasetError
from oodseg.exchange import read, write
from oodseg.exchange.cvat import decode, encode


@pytest.fixture
def file(labelled, tmp_path):
    write(labelled, tmp_path / "out", "cvat")
    return tmp_path / "out" / "annotations.xml"


def change(file, edit):
    tree = Xml.parse(file)
    edit(tree.getroot())
    tree.write(file)


@pytest.mark.parametrize(
    ("rows", "text"),
    [(["01", "10"], "1, 2, 1"), (["11", "00"], "0, 2, 2"), (["00", "00"], "4"), (["1"], "0, 1")],
)
def test_run_lengths_go_row_by_row_and_begin_with_zeros(rows, text):
    mask = np.array([[pixel == "1" for pixel in row] for row in rows])
    assert encode(mask) == text
    assert (decode(text, *mask.shape) == mask).all()


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays.arrays(bool, shape)))
@settings(deadline=None)
def test_run_lengths_come_back(mask):
    assert (decode(encode(mask), *mask.shape) == mask).all()


def test_the_file_is_as_cvat_writes_it(file):
    root = Xml.parse(file).getroot()
    assert root.findtext("version") == "1.1"
    assert [each.text for each in root.findall("meta/task/labels/label/name")] == ["unknown", "ignore"]
    first = root.find("image")
    assert first.attrib == {"id": "0", "name": "a.png", "width": "60", "height": "40"}
    mask = first.find("mask").attrib
    assert (mask["label"], mask["left"], mask["top"], mask["width"], mask["height"]) == (
        "unknown", "5", "3", "12", "12",
    )  # fmt: skip
    assert mask["rle"].startswith("0, 52, 4, 8, 4, ")  # four rows, then the hole


def test_datumaro_reads_the_same_pixels(file, labelled):
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(file.parent), "cvat")
    items = {item.id: item for item in dataset}
    for image in labelled:
        masks = sorted(each.image.astype(bool).tobytes() for each in items[image.stem].annotations)
        assert masks == sorted(each.mask.tobytes() for _, each in image.labelled())


SHAPES = """
<image id="0" name="x.png" width="60" height="40">
  <polygon label="unknown" points="2.00,1.00;6.00,1.00;6.00,5.00;2.00,5.00" occluded="0" z_order="0"/>
  <box label="dog" xtl="10" ytl="18" xbr="30" ybr="22" rotation="90.0" occluded="0"/>
  <ellipse label="ignore" cx="40" cy="20" rx="5" ry="5" occluded="0"/>
  <polyline label="unknown" points="2,1;6,1" occluded="0"/>
  <tag label="unknown"/>
</image>
"""


def test_shapes_that_people_draw_are_filled(file):
    change(file, lambda root: root.append(Xml.fromstring(SHAPES)))
    image = read(file.parent)[-1]
    polygon, box = (each.mask for each in image.objects)
    assert (polygon.sum(), polygon[1:5, 2:6].all()) == (16, True)
    assert (box.sum(), box[10:30, 18:22].all()) == (80, True)
    assert image.ignored[0].area == pytest.approx(np.pi * 25, rel=0.1)


def test_a_mask_at_the_edge_is_cut(file):
    def edit(root):
        root.find("image/mask").attrib.update(left="55", top="-2")

    change(file, edit)
    mask = read(file.parent)[0].objects[0].mask
    assert mask.shape == SIZE
    assert mask[:2, 55:].all()


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda root: root.find("image/mask").attrib.update(rle="1, 2"), "do not add up to 12x12"),
        (lambda root: root.find("image/mask").attrib.pop("rle"), "KeyError 'rle'"),
        (lambda root: root.find("image").attrib.update(width="wide"), "'wide'"),
    ],
)
def test_a_broken_file_is_one_sentence(file, edit, word):
    change(file, edit)
    with pytest.raises(DatasetError, match=word):
        read(file.parent)


def test_a_file_that_ends_early_is_one_sentence(file):
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(DatasetError, match=r"annotations\.xml holds no annotations of CVAT for images"):
        read(file.parent)
