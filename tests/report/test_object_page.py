import json
import re

import pytest

from oodseg.report.object_list import ObjectEntry, ObjectList
from oodseg.report.object_page import render

FOUND = {"score": 0.8, "bbox": [1.0, 2.0, 30.0, 40.0], "area": 900}


def page(entries, failures=(), **info):
    return render(ObjectList(entries, dict(enumerate(failures)), {"version": "1.2", "images": None, **info}))


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def entry(name="a.jpg", objects=(FOUND,), **files):
    return ObjectEntry(name, 100, 200, objects, 2.5, files)


def test_cards_come_with_the_surest_first():
    sure = {**FOUND, "score": 0.9}
    text = page([entry("a"), entry("b", ()), entry("c", (sure, FOUND))])
    cards = data_of(text)["cards"]
    assert [card["name"] for card in cards] == ["c", "a", "b"]
    assert cards[0]["objects"][1] == {"confidence": 0.8, "area": 900, "box": [30, 40], "crop": None}
    assert cards[2]["peak"] == 2.5
    for words in ("<b>3</b> images", "<b>2</b> with unknown objects", "<b>3</b> unknown objects"):
        assert words in text


def test_files_are_linked_by_addresses():
    files = {"overlays": ["overlays/a b#1.jpg"], "masks": ["masks/ä.png"], "thumbnails": ["thumbnails/x.jpg"]}
    card = data_of(page([entry(**files, crops=["crops/a b/1.jpg"])]))["cards"][0]
    assert card["overlay"] == "overlays/a%20b%231.jpg"
    assert card["links"] == [["overlay", "overlays/a%20b%231.jpg"], ["mask", "masks/%C3%A4.png"]]
    assert card["thumbnail"] == "thumbnails/x.jpg"
    assert card["objects"][0]["crop"] == "crops/a%20b/1.jpg"


def test_nothing_in_a_name_becomes_markup():
    text = page([entry("</script><b>x")], failures=["c <d> is broken"], images="/photos/<e>")
    assert text.count("</script>") == 2
    assert data_of(text)["cards"][0]["name"] == "</script><b>x"
    assert "<li>c &lt;d&gt; is broken</li>" in text
    assert "Images of <code>&lt;e&gt;</code>" in text


def test_names_that_are_no_utf8_are_shown():
    assert data_of(page([entry("stra\udcdfe.jpg", masks=["masks/stra\udcdfe.png"])]))["cards"][0] == {
        **data_of(page([entry("stra?e.jpg", masks=["masks/x"])]))["cards"][0],
        "links": [["mask", "masks/stra%DFe.png"]],
    }


def test_settings_are_told():
    settings = {"pipeline": "street", "operating_point": "thorough"}
    text = page([entry()], settings=settings, promise="at most 10 % are missed")
    assert "Pipeline <code>street</code>, operating point thorough" in text
    assert "Promised: at most 10 % are missed" in text
    assert "Not predicted" not in text


def told(**settings):
    text = page([entry()], settings={"pipeline": "street", "pipeline_sha256": "12", **settings})
    return re.search(r"Pipeline <code>street</code>(.*?)\. A confidence", text)[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"operating_point": "quiet", "detector": None, "limits": {}}, ", operating point quiet"),
        (
            {
                "operating_point": "quiet",
                "detector": "onnx:my.onnx+msp",
                "prompts": {"name": "components"},
            },
            ", detector onnx:my.onnx+msp, prompts components, operating point quiet",
        ),
        ({"operating_point": "quiet", "limits": {"min_confidence": 0.3}}, ", confidence from 0.3"),
        (
            {"limits": {"min_area": 50, "max_objects": 3}, "scores": {"mean": 0.0}},
            ", scores of files, objects from 50 pixels, objects per image at most 3",
        ),
    ],
)
def test_what_stands_in_place_of_the_pipelines_own_is_told(settings, words):
    assert told(**settings) == words


def test_parts_of_a_pipeline_in_memory_are_its_own():
    text = page([entry()], settings={"pipeline": "mine", "detector": {"name": "street"}})
    assert "Pipeline <code>mine</code>. A confidence" in text
