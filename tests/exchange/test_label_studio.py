import json

import numpy as np
import pytest
from label_cases import SIZE

from oodseg.core.errors import DatasetError
from oodseg.exchange import read, write
from oodseg.exchange.brush import encode


@pytest.fixture
def file(labelled, tmp_path):
    write(labelled, tmp_path / "out", "label-studio")
    return tmp_path / "out" / "tasks.json"


def annotate(file, edit):
    """Rewrites the file as Label Studio exports it after people worked on it."""
    tasks = json.loads(file.read_text())
    edit(tasks)
    file.write_text(json.dumps(tasks))
    return read(file.parent)


def result(kind, **value):
    return {
        "type": kind, "from_name": "label", "to_name": "image",
        "original_width": SIZE[1], "original_height": SIZE[0], "value": {kind: ["unknown"], **value},
    }  # fmt: skip


def stroke(mask, label="unknown"):
    return result("brushlabels", rle=encode(mask), format="rle") | {
        "value": {"rle": encode(mask), "format": "rle", "brushlabels": [label]}
    }


def test_the_tasks_can_be_imported(file):
    task = json.loads(file.read_text())[2]
    assert task["data"]["image"] == "/data/local-files/?d=out/images/sub/a.png"
    assert [each["value"]["brushlabels"] for each in task["predictions"][0]["result"]] == [
        ["unknown"],
        ["ignore"],
    ]
    assert '<Label value="ignore"' in (file.parent / "label_config.xml").read_text()


def test_label_studios_own_converter_reads_the_same_pixels(file, labelled):
    own = pytest.importorskip("label_studio_converter.brush")
    for task, image in zip(json.loads(file.read_text()), labelled, strict=True):
        results = [each | each["value"] for each in task["predictions"][0]["result"]]
        layers = own.decode_from_annotation("label", results)
        assert sorted((each > 127).tobytes() for each in layers.values()) == sorted(
            each.mask.tobytes() for _, each in image.labelled()
        )


def test_what_people_annotated_counts_and_tasks_they_left_do_not(file):
    mask = np.zeros(SIZE, bool)
    mask[5:9, 5:9] = True

    def edit(tasks):
        old, new = ({"result": [stroke(mask)], "updated_at": f"2024-0{n}-01"} for n in (1, 2))
        old["result"] = []
        cancelled = {"result": [], "was_cancelled": True, "updated_at": "2024-09-01"}
        tasks[0]["annotations"] = [new, old, cancelled]
        tasks[1]["annotations"] = [{"result": []}]
        tasks[2]["annotations"] = []

    first, second = annotate(file, edit)
    assert (first.objects[0].mask == mask).all()
    assert first.objects[0].confidence == 1.0
    assert (second.name, second.objects, second.height) == ("b.png", (), 40)


def test_shapes_are_filled_and_choices_are_not(file):
    def edit(tasks):
        box = {"x": 50.0, "y": 50.0, "width": 10.0, "height": 10.0}
        tasks[0]["annotations"] = [
            {
                "result": [
                    result("polygonlabels", points=[[10, 10], [20, 10], [20, 20], [10, 20]]),
                    result("rectanglelabels", **box, rotation=0),
                    result("rectanglelabels", **box, rotation=90),
                    result("ellipselabels", x=50.0, y=50.0, radiusX=10.0, radiusY=20.0, rotation=0),
                    result("choices"),
                ]
            }
        ]

    polygon, box, turned, ellipse = (each.mask for each in annotate(file, edit)[0].objects)
    assert (polygon.sum(), polygon[4:8, 6:12].all()) == (24, True)
    assert (box.sum(), box[20:24, 30:36].all()) == (24, True)
    assert (turned.sum(), turned[20:26, 26:30].all()) == (24, True)  # clockwise around its first corner
    assert ellipse.sum() == pytest.approx(np.pi * 48, rel=0.1)


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=elsewhere/a.png",
        "s3://bucket/street/a.png",
        "https://example.org/a.png?signature=x",
    ],
)
def test_images_are_known_by_their_address(file, address):
    def edit(tasks):
        tasks[0]["data"] = {"image": address}

    assert annotate(file, edit)[0].path == file.parent / "images" / "a.png"


def test_an_empty_task_takes_its_size_from_the_image(file):
    def edit(tasks):
        tasks[1]["data"] = {"image": "/data/upload/3/b.png"}

    assert annotate(file, edit)[1].width == 60
    (file.parent / "images" / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"nothing says how large b\.png is: put"):
        read(file.parent)
