import json

import cv2
import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import DatasetError
from oodseg.core.objects import OodObject
from oodseg.data.mined import MinedThing, read_mined, split_mined
from oodseg.exchange import write
from redness import save_street

BOXES = (20, 30, 60, 70), (80, 10, 110, 40)


@pytest.fixture
def results(red, tmp_path):
    """Two objects in each of two images, as `oodseg predict` leaves them."""
    for name in ("a", "b"):
        save_street(tmp_path / "photos" / f"{name}.png", *BOXES)
    oodseg.runs.predict(tmp_path / "photos", red, tmp_path / "found")
    return tmp_path / "found"


def picks(results, keep, reject):
    document = json.loads((results / "predictions.json").read_text())
    names = {each["id"]: each["file_name"] for each in document["images"]}
    entries = {}
    for each in document["annotations"]:
        name = names[each["image_id"]]
        number = sum(name == other for other, _ in entries) + 1
        entries[name, number] = {"image": name, "object": number, "box": each["bbox"]}
    content = {
        "results": str(results),
        "keep": [entries[each] for each in keep],
        "reject": [entries[each] for each in reject],
    }
    file = results.parent / "picks.json"
    file.write_text(json.dumps(content))
    return file


def test_results_of_a_run(results):
    things = read_mined([results], "keep")
    assert [each.name for each in things] == ["a.png#1", "a.png#2", "b.png#1", "b.png#2"]
    assert all(each.read_mask().sum() == each.found.area for each in things)
    assert things[0].read_image().shape == (96, 128, 3)


def test_picks_of_the_gallery(results, tmp_path):
    file = picks(results, keep=[("b.png", 2)], reject=[("a.png", 1)])
    (kept,), (rejected,) = read_mined([file], "keep"), read_mined([file], "reject")
    assert (kept.name, rejected.name) == ("b.png#1", "a.png#1")
    assert kept.found.rle == read_mined([results], "keep")[3].found.rle
    results.rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="are gone"):
        read_mined([file], "keep")


@pytest.mark.parametrize("format", ["coco", "cvat"])
def test_labels_that_came_back_from_a_tool(results, tmp_path, format):
    write(results, tmp_path / "labels", format)
    things = read_mined([tmp_path / "labels"], "keep")
    assert sorted(each.found.area for each in things) == sorted(
        each.found.area for each in read_mined([results], "keep")
    )
    assert {each.path.parent.name for each in things} == {"images"}


def test_plain_masks(tmp_path):
    save_street(tmp_path / "images" / "a.jpg", *BOXES)
    mask = np.zeros((96, 128), np.uint8)
    mask[30:70, 20:60], mask[10:40, 80:110], mask[0, 0] = 255, 255, 255
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), mask)
    assert sorted(each.found.area for each in read_mined([tmp_path], "keep")) == [900, 1600]
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "b.png")
    with pytest.raises(DatasetError, match=r"no image in .* has a mask"):
        read_mined([tmp_path], "keep")


def test_sources_that_cannot_be_used(results, tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        read_mined([tmp_path / "gone"], "keep")
    with pytest.raises(DatasetError, match="no object that was rejected"):
        read_mined([picks(results, keep=[], reject=[])], "reject")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(DatasetError, match="picks of `oodseg mine`"):
        read_mined([tmp_path / "broken.json"], "keep")
    (tmp_path / "photos" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"a\.png of mined objects is gone"):
        read_mined([results], "keep")


def test_an_image_of_another_size_is_refused(tmp_path):
    path = save_street(tmp_path / "a.png", BOXES[0])
    thing = MinedThing("a.png#1", path, OodObject.from_mask(np.ones((5, 5), bool)))
    with pytest.raises(DatasetError, match="has changed its size"):
        thing.read_image()
    with pytest.raises(DatasetError, match="cannot be used"):
        MinedThing("b.png#1", tmp_path / "b.png", thing.found).read_image()


def test_one_image_in_twenty_is_held_out_with_all_its_objects(tmp_path):
    found = OodObject.from_mask(np.ones((5, 5), bool))
    things = [MinedThing(f"{n}.png#{k}", tmp_path, found) for n in range(400) for k in (1, 2)]
    train, val = split_mined(things, "train"), split_mined(things, "val")
    assert len(train) + len(val) == 800
    assert 20 <= len(val) <= 60
    images = [{each.name.partition("#")[0] for each in part} for part in (train, val)]
    assert not images[0] & images[1]
