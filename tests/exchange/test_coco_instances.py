import json

import numpy as np
import pytest
from label_cases import HEIGHT, SIZE, WIDTH, found, ring
from pycocotools.coco import COCO

from oodseg.core.errors import DatasetError
from oodseg.exchange import LabelledImage, read, write


@pytest.fixture
def file(labelled, tmp_path):
    write(labelled, tmp_path / "out", "coco")
    return tmp_path / "out" / "annotations" / "instances_default.json"


def change(file, edit):
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))


def test_pycocotools_reads_the_same_pixels(labelled, file):
    coco = COCO(str(file))
    for image_id, image in enumerate(labelled, start=1):
        read_masks = [coco.annToMask(each).astype(bool) for each in coco.loadAnns(coco.getAnnIds(image_id))]
        assert [mask.tobytes() for mask in read_masks] == [x.mask.tobytes() for _, x in image.labelled()]
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["unknown", "ignore"]


def test_datumaro_reads_the_same_pixels(labelled, tmp_path, file):
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "out"), "coco")
    for image in labelled:
        item = dataset.get(image.stem, "default")
        outlines = [each for each in item.annotations if isinstance(each, datumaro.Mask)]
        masks = sorted(each.image.astype(bool).tobytes() for each in outlines)
        assert masks == sorted(x.mask.tobytes() for _, x in image.labelled())


def test_supervision_reads_the_same_pixels(labelled, tmp_path, file):
    supervision = pytest.importorskip("supervision")
    dataset = supervision.DetectionDataset.from_coco(
        str(tmp_path / "out" / "images"), str(file), force_masks=True
    )
    for path, _, detections in dataset:
        image = next(x for x in labelled if path.endswith(f"images/{x.name}"))
        read_masks = [] if detections.mask is None else list(np.asarray(detections.mask))
        assert [mask.astype(bool).tobytes() for mask in read_masks] == [
            x.mask.tobytes() for _, x in image.labelled()
        ]


def test_polygons_and_plain_run_lengths_of_other_tools_are_read(file):
    def edit(document):
        first, second, third = document["annotations"][:3]
        first["segmentation"] = [[2, 1, 6, 1, 6, 5, 2, 5], [0, 0, 1, 1]]
        second["segmentation"] = {"size": list(SIZE), "counts": [5, 3, SIZE[0] * SIZE[1] - 8]}
        third["segmentation"] = []
        del first["score"]

    expected = read(file.parent.parent)[0].objects[2].bbox
    change(file, edit)
    polygon, runs, box = read(file.parent.parent)[0].objects
    assert polygon.mask[1:5, 2:6].all()
    assert polygon.area == 16
    assert polygon.confidence == 1.0
    assert runs.mask[5:8, 0].all()
    assert runs.area == 3
    assert box.bbox == expected
    assert box.area == expected[2] * expected[3]  # where there is no outline


def test_a_category_of_another_name_is_unknown_too(file):
    change(file, lambda document: document["categories"][0].update(name="lost cargo"))
    assert len(read(file.parent.parent)[0].objects) == 3


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda d: d["annotations"][0].update(category_id=9), "KeyError 9"),
        (lambda d: d["annotations"][0].update(image_id=9), "KeyError 9"),
        (lambda d: d["images"][0].pop("height"), "'height'"),
        (lambda d: d["annotations"][0]["segmentation"].update(counts=[1, 2]), "do not add up to 60x40"),
    ],
)
def test_a_broken_file_is_one_sentence(file, edit, word):
    change(file, edit)
    with pytest.raises(DatasetError, match=word) as caught:
        read(file.parent.parent)
    assert str(file) in str(caught.value)


def test_an_image_in_two_files_is_an_error(file):
    (file.parent / "instances_train.json").write_text(file.read_text())
    with pytest.raises(DatasetError, match="another file beside it"):
        read(file.parent.parent)


def test_what_a_pipeline_found_is_no_truth(file, tmp_path):
    file.rename(tmp_path / "out" / "predictions.json")
    with pytest.raises(DatasetError, match="no known format"):
        read(tmp_path / "out")


def test_images_without_a_known_place_are_read_too(tmp_path):
    write(
        [LabelledImage("x.jpg", HEIGHT, WIDTH, (found(ring(0, 0, 9), 1),))], tmp_path, "coco", images="none"
    )
    (image,) = read(tmp_path)
    assert image.path is None
