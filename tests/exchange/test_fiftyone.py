import json

import numpy as np
import pytest
from label_cases import SIZE, ring
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.exchange import read, write
from oodseg.exchange.fiftyone import decode, encode


@pytest.fixture
def file(labelled, tmp_path):
    write(labelled, tmp_path / "out", "fiftyone")
    return tmp_path / "out" / "samples.json"


def change(file, edit):
    document = json.loads(file.read_text())
    edit(document["samples"])
    file.write_text(json.dumps(document))
    return read(file.parent)


def test_fiftyones_own_classes_read_the_same_pixels(file, labelled):
    fiftyone = pytest.importorskip("fiftyone")
    for sample, image in zip(json.loads(file.read_text())["samples"], labelled, strict=True):
        detections = fiftyone.Sample.from_dict(sample).ground_truth.detections
        for each, (label, drawn) in zip(detections, image.labelled(), strict=True):
            left, top = round(each.bounding_box[0] * SIZE[1]), round(each.bounding_box[1] * SIZE[0])
            mask = np.zeros(SIZE, bool)
            mask[top : top + each.mask.shape[0], left : left + each.mask.shape[1]] = each.mask
            assert (each.label, mask.tobytes()) == (label, drawn.mask.tobytes())


def test_boxes_are_shares_of_the_image(file):
    sample = json.loads(file.read_text())["samples"][0]
    assert sample["filepath"] == "data/a.png"
    assert sample["ground_truth"]["detections"][0]["bounding_box"] == [5 / 60, 3 / 40, 12 / 60, 12 / 40]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text,
        lambda text: {"$binary": {"base64": text, "subType": "00"}},
        lambda text: {"$binary": text, "$type": "00"},
    ],
)
def test_masks_are_decoded_however_they_are_wrapped(wrap):
    mask = ring(3, 5, 12)
    assert (decode(wrap(encode(mask))) == mask).all()


def test_other_fields_masks_in_files_and_boxes_are_read(file):
    Image.fromarray(np.full((4, 6), 255, np.uint8)).save(file.parent / "mask.png")

    def edit(samples):
        found = samples[0].pop("ground_truth")
        first, second, third = found["detections"]
        first.update(mask=None, mask_path="mask.png", bounding_box=[0.5, 0.5, 0.1, 0.1])
        second.pop("mask")
        second.update(bounding_box=[0.1, 0.1, 0.2, 0.1])
        third.pop("confidence")
        samples[0]["corrected"] = found

    first, second, third = change(file, edit)[0].objects
    assert (first.area, first.mask[20:24, 30:36].all()) == (24, True)
    assert (second.area, second.mask[4:8, 6:18].all()) == (48, True)
    assert third.confidence == 1.0


def test_ground_truth_comes_before_predictions(file):
    def edit(samples):
        samples[0]["predictions"] = samples[0]["ground_truth"]
        samples[0]["ground_truth"] = {"_cls": "Detections", "detections": []}

    assert change(file, edit)[0].objects == ()


def test_the_size_may_be_that_of_the_image(file):
    def edit(samples):
        samples[1]["metadata"] = None

    assert change(file, edit)[1].width == 60
    (file.parent / "data" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"nothing says how large b\.png is"):
        read(file.parent)


def test_a_broken_mask_is_one_sentence(file):
    def edit(samples):
        samples[0]["ground_truth"]["detections"][0]["mask"] = "AAAA"

    with pytest.raises(DatasetError, match=r"samples\.json holds no samples of FiftyOne \(a mask is damaged"):
        change(file, edit)
