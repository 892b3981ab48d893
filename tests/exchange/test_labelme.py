import json

import numpy as np
import pytest
from label_cases import SIZE

from oodseg.core.errors import DatasetError
from oodseg.exchange import read, write


@pytest.fixture
def out(labelled, tmp_path):
    write(labelled, tmp_path / "out", "labelme")
    return tmp_path / "out"


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_the_file_is_as_labelme_writes_it(out):
    document = json.loads((out / "sub" / "a.json").read_text())
    assert (document["imagePath"], document["imageHeight"], document["imageData"]) == ("a.png", 40, None)
    mask, ignored = document["shapes"]
    assert mask["points"] == [[40, 2], [48, 10]]  # the last pixel belongs to it
    assert (mask["label"], ignored["label"], mask["shape_type"]) == ("unknown", "ignore", "mask")
    assert (out / "sub" / "a.png").is_file()


def test_labelmes_own_reader_sees_the_same_pixels(out, labelled):
    utils = pytest.importorskip("labelme.utils")
    for image in labelled:
        shapes = json.loads((out / f"{image.stem}.json").read_text())["shapes"]
        for shape, (_, each) in zip(shapes, image.labelled(), strict=True):
            (x1, y1), (x2, y2) = shape["points"]
            mask = np.zeros(SIZE, bool)
            mask[y1 : y2 + 1, x1 : x2 + 1] = utils.img_b64_to_arr(shape["mask"]).astype(bool)
            assert mask.tobytes() == each.mask.tobytes()


def test_shapes_that_people_draw_are_filled(out):
    shapes = [
        {"label": "dog", "points": [[2, 1], [6, 1], [6, 5], [2, 5]], "shape_type": "polygon"},
        {"label": "unknown", "points": [[30, 22], [10, 18]], "shape_type": "rectangle"},
        {"label": "unknown", "points": [[40, 20], [40, 25]], "shape_type": "circle"},
        {"label": "unknown", "points": [[40, 20], [40, 25]], "shape_type": "line"},
    ]
    change(out / "a.json", shapes=shapes)
    polygon, box, circle = (each.mask for each in read(out)[0].objects)
    assert (polygon.sum(), polygon[1:5, 2:6].all()) == (16, True)
    assert (box.sum(), box[18:22, 10:30].all()) == (80, True)
    assert circle.sum() == pytest.approx(np.pi * 25, rel=0.1)


def test_images_without_a_file_are_not_labelled(out):
    (out / "b.json").unlink()
    assert [image.name for image in read(out)] == ["a.png", "sub/a.png"]


def test_the_size_may_be_that_of_the_image(out):
    change(out / "b.json", imageHeight=None, imageWidth=None, imagePath="..\\photos\\b.png")
    assert read(out)[1].width == 60
    (out / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"nothing says how large b\.png is"):
        read(out)


def test_a_broken_mask_is_one_sentence(out):
    document = json.loads((out / "a.json").read_text())
    document["shapes"][0]["mask"] = "AAAA"
    (out / "a.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match=r"a\.json holds no labels of LabelMe"):
        read(out)
