import base64
import json
import zlib

import cv2
import numpy as np
import pytest
from label_cases import HEIGHT, WIDTH, found, ring

from oodseg.core.errors import DatasetError
from oodseg.exchange import LabelledImage, read, write
from oodseg.exchange.supervisely import decode, encode, place


@pytest.fixture
def out(labelled, tmp_path):
    write(labelled, tmp_path / "out", "supervisely")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("a.png", "ds0/img/a.png"),
        ("sub/a.png", "sub/img/a.png"),
        ("x/y/z/a.png", "x/datasets/y/datasets/z/img/a.png"),
    ],
)
def test_folders_are_data_sets(name, where, tmp_path):
    assert place(name) == where
    write(
        [LabelledImage(name, HEIGHT, WIDTH, (found(ring(0, 0, 9), 1),))],
        tmp_path,
        "supervisely",
        images="none",
    )
    assert read(tmp_path)[0].name == name


def test_supervisely_decodes_the_same_mask():
    """Its library takes the fourth channel of what OpenCV makes of the PNG."""
    mask = ring(3, 5, 12)
    data = np.frombuffer(zlib.decompress(base64.b64decode(encode(mask))), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert (pixels[:, :, 3].astype(bool) == mask).all()
    assert (decode(encode(mask)) == mask).all()


@pytest.mark.parametrize("value", [1, 255])
def test_masks_without_transparency_are_read(value):
    mask = ring(3, 5, 12)
    data = cv2.imencode(".png", mask.astype(np.uint8) * value)[1].tobytes()
    assert (decode(base64.b64encode(zlib.compress(data)).decode()) == mask).all()


def test_classes_and_tags_are_declared(out):
    meta = json.loads((out / "meta.json").read_text())
    assert [each["title"] for each in meta["classes"]] == ["unknown", "ignore"]
    figure = json.loads((out / "ds0" / "ann" / "a.png.json").read_text())["objects"][0]
    assert figure["tags"][0]["name"] == meta["tags"][0]["name"]
    assert figure["bitmap"]["origin"] == [5, 3]


def test_shapes_that_people_draw_are_filled(out):
    square = [[2, 1], [12, 1], [12, 11], [2, 11]]
    hole = [[4, 3], [8, 3], [8, 7], [4, 7]]
    figures = [
        {"classTitle": "dog", "geometryType": "polygon", "points": {"exterior": square, "interior": [hole]}},
        {"classTitle": "dog", "geometryType": "rectangle", "points": {"exterior": [[10, 18], [30, 22]]}},
        {"classTitle": "dog", "geometryType": "line", "points": {"exterior": [[0, 0], [9, 9]]}},
    ]
    file = out / "ds0" / "ann" / "a.png.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"objects": figures}))
    polygon, box = (each.mask for each in read(out)[0].objects)
    assert (polygon.sum(), polygon[3:7, 4:8].any()) == (84, False)
    assert (box.sum(), box[18:23, 10:31].all()) == (105, True)


def test_a_broken_mask_is_one_sentence(out):
    file = out / "ds0" / "ann" / "a.png.json"
    document = json.loads(file.read_text())
    document["objects"][0]["bitmap"]["data"] = "AAAA"
    file.write_text(json.dumps(document))
    with pytest.raises(
        DatasetError, match=r"a\.png\.json holds no annotations of Supervisely \(a mask is damaged"
    ):
        read(out)
