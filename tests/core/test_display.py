import base64
import re
import sys

import cv2
import numpy as np
import pytest

from oodseg.core.display import plot_objects, to_html
from oodseg.core.encoding import encode_png
from oodseg.core.errors import MissingDependencyError
from oodseg.core.objects import encode_objects

IMAGE = np.full((20, 40, 3), 90, np.uint8)
PNG = encode_png(IMAGE)


def objects(count):
    masks = np.zeros((count, 20, 40), bool)
    masks[:, 4:8, 10:30] = True
    return encode_objects(masks, np.zeros((count, 4)), np.linspace(0.9, 0.1, count))


def cells(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [[re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)] for row in rows]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<script>alert(1)</script>.jpg", "&lt;script&gt;alert(1)&lt;/script&gt;.jpg"),
        ('"onerror="x.jpg', "&quot;onerror=&quot;x.jpg"),
        ("Tom & Jerry.jpg", "Tom &amp; Jerry.jpg"),
    ],
)
def test_file_names_are_escaped(name, written):
    page = to_html(name, objects(1), 20, 40, PNG)
    assert name not in page
    assert page.count(written) == 2  # in the heading and as the text that stands for the image


def test_reasons_are_escaped():
    page = to_html("a", [], 20, 40, None, "<b>.jpg does not exist")
    assert "&lt;b&gt;.jpg does not exist" in page
    assert "<img" not in page


def test_the_image_is_inline():
    page = to_html("a.jpg", objects(1), 20, 40, PNG)
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    found = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(found, IMAGE)


def test_table_of_objects():
    page = to_html("a.jpg", objects(2), 20, 40, PNG)
    assert cells(page) == [
        ["", "confidence", "x", "y", "width", "height", "area", "share"],
        ["&#9632; 1", "0.90", "10", "4", "20", "4", "80", "10.00 %"],
        ["&#9632; 2", "0.10", "10", "4", "20", "4", "80", "10.00 %"],
    ]
    assert "40 &times; 20 &middot; 2 unknown objects" in page


def test_long_tables_are_cut():
    page = to_html("a.jpg", objects(53), 20, 40, PNG)
    assert len(cells(page)) == 51
    assert "and 3 more" in page


def test_nothing_found_has_no_table():
    assert "<table>" not in to_html("a.jpg", [], 20, 40, PNG)


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"install .*\[notebook\]"):
        plot_objects(IMAGE, [], "a")
