import csv
import io

from oodseg.report.object_list import ObjectEntry, rank, to_csv


def found(score, bbox=(10.0, 20.0, 30.0, 40.0), area=900):
    return {"score": score, "bbox": list(bbox), "area": area}


def entry(name, *scores, peak=None, **files):
    return ObjectEntry(name, 100, 200, [found(score) for score in scores], peak, files)


def test_the_surest_object_comes_first_and_nothing_last():
    entries = [
        entry("low", 0.2),
        entry("none"),
        entry("peak", peak=3.0),
        entry("high", 0.9, 0.1),
        entry("less", peak=1.0),
    ]
    assert [each.name for each in rank(entries)] == ["high", "low", "peak", "less", "none"]


def test_one_line_per_object():
    rows = list(csv.DictReader(io.StringIO(to_csv([entry("a, b.jpg", 0.75, 0.5), entry("none.jpg")]))))
    assert [row["object"] for row in rows] == ["1", "2"]
    assert rows[0] == {
        "file_name": "a, b.jpg",
        "object": "1",
        "confidence": "0.7500",
        "x": "10",
        "y": "20",
        "width": "30",
        "height": "40",
        "area": "900",
        "share": "0.045000",
    }


def test_crops_are_named_where_there_are_some():
    crops = ["crops/a/1.jpg", "crops/a/2.jpg"]
    rows = list(csv.DictReader(io.StringIO(to_csv([entry("a", 0.75, 0.5, crops=crops), entry("b", 0.3)]))))
    assert [row["crop"] for row in rows] == [*crops, ""]
