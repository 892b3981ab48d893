import json

import numpy as np
import pytest
from mined_cases import BLUE, RED, SIZE, Colours, collection, save_results
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.mining import mine


@pytest.fixture
def found(tmp_path):
    return collection(tmp_path)


@pytest.fixture
def mined(found, tmp_path):
    return mine(found, tmp_path / "mined", encoder=Colours(), duplicates=0.99)


def names(run):
    return [(each.image, each.number) for each in run.objects]


def test_near_duplicates_are_left_out_and_the_rarest_come_first(mined):
    assert (mined.total, mined.done_before, mined.failures, mined.notes) == (5, 0, {}, [])
    by_name = {(each.image, each.number): each for each in mined.objects}
    assert by_name.keys() == {("a.png", 1), ("a.png", 2), ("b.png", 2), ("sub/c.png", 1)}
    assert by_name["a.png", 1].stands_for == (("b.png", 1),)  # the more confident one is kept
    worth = [each.rarity * each.confidence for each in mined.objects]
    assert worth == sorted(worth, reverse=True)
    assert {each.cluster for each in mined.objects} == {0}
    assert ("near-duplicates", "1") in mined.facts()
    assert ("in no cluster", "4") in mined.facts()


def test_crops_masks_and_list_are_written(mined, tmp_path):
    document = json.loads((tmp_path / "mined" / "mined.json").read_text())
    assert document["info"]["complete"] is True
    assert document["info"]["results"] == str(tmp_path / "found")
    first = document["objects"][0]
    assert (first["rank"], first["image"], first["number"]) == (
        1,
        mined.objects[0].image,
        mined.objects[0].number,
    )
    for each in document["objects"]:
        with (
            Image.open(tmp_path / "mined" / each["crop"]) as crop,
            Image.open(tmp_path / "mined" / each["mask"]) as mask,
        ):
            assert crop.size == mask.size == (320, 320)
            inside = np.asarray(crop)[np.asarray(mask) == 255]
        assert each["area"] == each["bbox"][2] * each["bbox"][3]
        assert (
            inside.mean(0).argmax()
            == {"a.png1": 0, "a.png2": 1, "b.png2": 2, "sub/c.png1": 1}[f"{each['image']}{each['number']}"]
        )


def test_the_same_command_again_goes_on(found, mined, tmp_path):
    encoder = Colours()
    again = mine(found, tmp_path / "mined", encoder=encoder, duplicates=0.99)
    assert (encoder.calls, again.done_before) == (0, 5)
    assert again.objects == mined.objects
    (tmp_path / "mined" / "embeddings" / "a.png" / "2.npy").unlink()
    mine(found, tmp_path / "mined", encoder=encoder)
    assert encoder.calls == 1


def test_objects_that_changed_are_done_again_and_lost_ones_are_no_longer_listed(mined, tmp_path):
    save_results(tmp_path, {"a.png": [(RED, (10, 10, 40, 40), 0.9)], "b.png": [(BLUE, (0, 0, 30, 30), 0.4)]})
    encoder = Colours()
    again = mine(tmp_path / "found", tmp_path / "mined", encoder=encoder)
    assert sorted(names(again)) == [("a.png", 1), ("b.png", 1)]
    assert again.objects[names(again).index(("b.png", 1))].bbox == (0, 0, 30, 30)


def test_an_interrupted_run_has_a_gallery_and_goes_on(found, tmp_path):
    def stop(stage, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="interrupted after 3 of 5 objects"):
        mine(found, tmp_path / "mined", encoder=Colours(), progress=stop)
    document = json.loads((tmp_path / "mined" / "mined.json").read_text())
    assert document["info"]["complete"] is False
    assert mine(found, tmp_path / "mined", encoder=Colours()).done_before == 3


def test_what_looks_like_an_example_comes_first(found, tmp_path):
    for name, colour in (("blue.png", BLUE), ("red.png", RED)):
        Image.fromarray(np.full((40, 60, 3), colour, np.uint8)).save(tmp_path / name)
    one = mine(found, tmp_path / "mined", encoder=Colours(), like=[tmp_path / "blue.png"])
    assert names(one)[0] == ("b.png", 2)
    assert one.objects[0].similarity == pytest.approx(1, abs=0.01)
    encoder = Colours()
    two = mine(found, tmp_path / "mined", encoder=encoder, like=[tmp_path / "blue.png", tmp_path / "red.png"])
    assert sorted(names(two)[:2]) == [("a.png", 1), ("b.png", 2)]
    assert encoder.calls == 2  # the objects are embedded already
    assert "Most like blue.png, red.png" in two.page.read_text()


def test_an_image_that_is_gone_or_another_is_named_and_the_rest_goes_on(found, tmp_path):
    (tmp_path / "photos" / "a.png").unlink()
    Image.fromarray(np.zeros((SIZE[0], 50, 3), np.uint8)).save(tmp_path / "photos" / "b.png")
    run = mine(found, tmp_path / "mined", encoder=Colours())
    assert names(run) == [("sub/c.png", 1)]
    assert run.failures.keys() == {"a.png #1", "a.png #2", "b.png #1", "b.png #2"}
    assert "a.png of the results is gone: put it back" in run.failures["a.png #1"]
    assert "is 50x80 pixels now, the objects were found in 120x80" in run.failures["b.png #2"]
    assert ("failed", "4") in run.facts()
    assert json.loads((tmp_path / "mined" / "mined.json").read_text())["failures"][0]["name"] == "a.png #1"


def test_nothing_found_is_an_empty_gallery(tmp_path):
    run = mine(save_results(tmp_path, {"a.png": []}), tmp_path / "mined", encoder=Colours())
    assert (run.total, run.objects) == (0, [])
    assert run.page.is_file()


def test_faults_are_one_sentence(found, mined, tmp_path):
    with pytest.raises(DatasetError, match=r"holds no predictions\.json"):
        mine(tmp_path, tmp_path / "other", encoder=Colours())
    with pytest.raises(ImageError, match="does not exist"):
        mine(found, tmp_path / "other", encoder=Colours(), like=["nowhere.png"])
    other = Colours()
    other.settings = {"test": "other"}
    with pytest.raises(ConfigError, match="holds results of other settings"):
        mine(found, tmp_path / "mined", encoder=other)
