import json

import numpy as np
import pytest
from label_cases import HEIGHT, WIDTH, found, ring
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.exchange import LabelledImage, read, write

FILE = "annotations/panoptic_default.json"


@pytest.fixture
def out(labelled, tmp_path):
    write(labelled, tmp_path / "out", "coco-panoptic")
    return tmp_path / "out"


def test_the_png_holds_the_ids_of_the_file(out, labelled):
    document = json.loads((out / FILE).read_text())
    with Image.open(out / "annotations" / "panoptic_default" / "sub" / "a.png") as image:
        assert image.mode == "RGB"
        ids = np.asarray(image).astype(int) @ [1, 256, 65536]
    segments = document["annotations"][2]["segments_info"]
    assert set(np.unique(ids)) == {0, *(each["id"] for each in segments)}
    assert [(ids == each["id"]).sum() for each in segments] == [each["area"] for each in segments]
    thing = next(each for each in segments if each["category_id"] == 1)
    assert (ids == thing["id"]).tobytes() == labelled[2].objects[0].mask.tobytes()
    assert thing["bbox"] == list(labelled[2].objects[0].bbox)


def test_datumaro_reads_the_same_pixels(out, labelled):
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(out), "coco_panoptic")
    for image in labelled:
        item = dataset.get(image.stem, "default")
        masks = sorted(each.image.astype(bool).tobytes() for each in item.annotations)
        assert masks == sorted(each.mask.tobytes() for _, each in image.labelled())


def test_the_most_confident_object_has_the_pixels_that_several_claim(tmp_path):
    low, high = ring(3, 5, 12), ring(5, 8, 12)
    image = LabelledImage("x.png", HEIGHT, WIDTH, (found(high, 0.9), found(low, 0.2)))
    export = write([image], tmp_path, "coco-panoptic", images="none")
    assert export.notes == (f"objects overlap in {(low & high).sum()} pixels, which belong to the most "
                            "confident one alone now",)  # fmt: skip
    (back,) = read(tmp_path)
    by_confidence = {each.confidence: each.mask for each in back.objects}
    assert (by_confidence[0.9] == high).all()
    assert (by_confidence[0.2] == (low & ~high)).all()


def test_stuff_is_street(out):
    document = json.loads((out / FILE).read_text())
    document["categories"][0].update(name="road", isthing=0)
    (out / FILE).write_text(json.dumps(document))
    assert [len(image.objects) for image in read(out)] == [0, 0, 0]


def test_a_missing_png_is_one_sentence(out):
    (out / "annotations" / "panoptic_default" / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"panoptic_default\.json holds no COCO panoptic segments"):
        read(out)
