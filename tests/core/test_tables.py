import sys

import numpy as np
import pytest

from oodseg.core.errors import MissingDependencyError
from oodseg.core.objects import encode_objects
from oodseg.core.tables import to_dataframe, to_detections

MASKS = np.zeros((2, 20, 40), bool)
MASKS[0, 4:8, 10:30] = True
MASKS[1, 10:12, 0:5] = True
OBJECTS = encode_objects(MASKS, np.zeros((2, 4)), [0.9, 0.25])
COLUMNS = ["image", "object", "confidence", "x", "y", "width", "height", "area", "share"]


def test_one_row_per_object():
    pytest.importorskip("pandas")
    table = to_dataframe("a.jpg", OBJECTS, 20, 40)
    assert list(table.columns) == COLUMNS
    assert table.to_numpy().tolist() == [
        ["a.jpg", 1, 0.9, 10, 4, 20, 4, 80, 0.1],
        ["a.jpg", 2, 0.25, 0, 10, 5, 2, 10, 0.0125],
    ]
    assert [table[name].dtype.kind for name in COLUMNS[1:]] == list("ifffffif")


def test_no_object_is_an_empty_table_of_the_same_columns():
    pandas = pytest.importorskip("pandas")
    table = to_dataframe("a.jpg", [], 20, 40)
    assert len(table) == 0
    assert list(table.columns) == COLUMNS
    assert len(pandas.concat([table, to_dataframe("a.jpg", OBJECTS, 20, 40)])) == 2


def test_detections():
    pytest.importorskip("supervision")
    found = to_detections(OBJECTS)
    assert found.xyxy.tolist() == [[10, 4, 30, 8], [0, 10, 5, 12]]
    assert np.array_equal(found.mask, MASKS)
    assert found.confidence.tolist() == pytest.approx([0.9, 0.25])
    assert found.class_id.tolist() == [0, 0]
    assert found.data["class_name"].tolist() == ["unknown", "unknown"]
    assert found[found.confidence > 0.5].area.tolist() == [80]


def test_no_object_is_no_detection():
    pytest.importorskip("supervision")
    assert len(to_detections([])) == 0


@pytest.mark.parametrize(
    ("library", "call"),
    [("pandas", lambda: to_dataframe("a", OBJECTS, 20, 40)), ("supervision", lambda: to_detections(OBJECTS))],
)
def test_missing_library(monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=rf"{library}.*install .*\[notebook\]"):
        call()
