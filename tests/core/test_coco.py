import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from oodseg.core.coco import add_to_document, coco_annotations, coco_document, coco_image
from oodseg.core.objects import encode_objects


def objects(*corners):
    masks = np.zeros((len(corners), 10, 12), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    confidence = np.linspace(0.75, 0.25, len(corners))
    return encode_objects(masks, np.array(corners, float).reshape(-1, 4), confidence)


FOUND = objects((0, 5, 3, 9), (2, 1, 8, 4))


def read_back(tmp_path, document):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(document))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


def test_annotations():
    found = coco_annotations(FOUND, 7, first_annotation_id=40)
    assert [(each["id"], each["image_id"], each["score"]) for each in found] == [(40, 7, 0.75), (41, 7, 0.25)]
    assert [each["bbox"] for each in found] == [[0, 5, 3, 4], [2, 1, 6, 3]]
    assert [each["area"] for each in found] == [12, 18]
    assert {each["category_id"] for each in found} == {1}
    assert {each["iscrowd"] for each in found} == {0}
    assert json.loads(json.dumps(found)) == found


def test_pycocotools_reads_the_masks_back(tmp_path):
    document = coco_document([(3, "a.jpg", 10, 12, coco_annotations(FOUND, 1))], {"description": "test"})
    read = read_back(tmp_path, document)
    assert read.loadImgs([3]) == [coco_image(3, "a.jpg", 10, 12)]
    assert read.loadCats([1]) == [{"id": 1, "name": "unknown"}]
    annotations = read.loadAnns(read.getAnnIds(imgIds=[3]))
    assert [each["id"] for each in annotations] == [1, 2]
    for each, found in zip(annotations, FOUND, strict=True):
        assert np.array_equal(read.annToMask(each), found.mask)


def test_results_are_loaded_against_truth(tmp_path):
    truth = read_back(tmp_path, coco_document([(1, "a.jpg", 10, 12, [])], {}))
    with contextlib.redirect_stdout(io.StringIO()):
        results = truth.loadRes(coco_annotations(FOUND, 1))
    assert [each["score"] for each in results.loadAnns(results.getAnnIds(imgIds=[1]))] == [0.75, 0.25]


def test_adding_and_replacing(tmp_path):
    document = coco_document([], {"description": "mine"})
    document = add_to_document(document, "a.jpg", 10, 12, FOUND)
    document = add_to_document(document, "b.jpg", 10, 12, FOUND[:1])
    document = add_to_document(document, "c.jpg", 20, 30, [])
    document = add_to_document(document, "a.jpg", 10, 12, objects((4, 4, 6, 6)))
    read = read_back(tmp_path, document)
    names = {image["file_name"]: image["id"] for image in document["images"]}
    assert names == {"a.jpg": 1, "b.jpg": 2, "c.jpg": 3}
    assert document["info"] == {"description": "mine"}
    areas = {
        name: [each["area"] for each in read.loadAnns(read.getAnnIds(imgIds=[number]))]
        for name, number in names.items()
    }
    assert areas == {"a.jpg": [4], "b.jpg": [12], "c.jpg": []}
    assert len(read.anns) == 2


@pytest.mark.parametrize("document", [{}, {"images": 3}, [], {"images": [{}], "annotations": [], "info": {}}])
def test_what_is_no_document(document):
    with pytest.raises((KeyError, TypeError)):
        add_to_document(document, "a.jpg", 10, 12, FOUND)


def test_boxes_are_whole_numbers():
    mask = np.zeros((1, 20, 30), bool)
    mask[0, 3:9, 4:14] = True
    (annotation,) = coco_annotations(encode_objects(mask, [[3.7, 2.2, 14.9, 9.1]], [1 / 3]), 1)
    assert json.dumps(annotation["bbox"]) == "[4, 3, 10, 6]"
    assert annotation["score"] == 0.333333
