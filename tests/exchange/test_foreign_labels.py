"""Labels as other tools, and other machines, write them: nothing is lost in silence."""

import json

import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import collect_warnings
from oodseg.exchange import read
from oodseg.exchange.images import name_in_labels

SQUARE = [24, 16, 72, 16, 72, 48, 24, 48]
CORNERS = [[24, 16], [72, 16], [72, 48], [24, 48]]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (96, 64)).save(tmp_path / "images" / "a.jpg")
    return tmp_path


def coco(root, name="a.jpg", **changes):
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [24, 16, 48, 32], **changes}
    document = {
        "images": [{"id": 1, "file_name": name, "height": 64, "width": 96}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [{key: value for key, value in annotation.items() if value != "gone"}],
    }
    (root / "instances.json").write_text(json.dumps(document), encoding="utf-8-sig")
    return root


def labelme(root, **shape):
    shape = {"label": "thing", "points": CORNERS, "shape_type": "polygon", **shape}
    document = {"version": "5", "shapes": [shape], "imagePath": "..\\images\\a.jpg", "imageData": None}
    (root / "a.json").write_text(json.dumps(document | {"imageHeight": 64, "imageWidth": 96}))
    return root


def areas(root):
    with collect_warnings(forward=False) as warned:
        (image,) = read(root)
    return [each.area for each in image.objects], warned


@pytest.mark.parametrize("segmentation", [[SQUARE], [], None, "gone"])
def test_an_annotation_without_an_outline_counts_as_its_box(root, segmentation):
    assert areas(coco(root, segmentation=segmentation, score=None)) == ([48 * 32], [])


@pytest.mark.parametrize(
    "name", ["images\\a.jpg", "C:\\data\\a.jpg", "/data/a.jpg", "../images/a.jpg", "a.jpg"]
)
def test_paths_of_other_machines(root, name):
    (image,) = read(coco(root, name, segmentation=[SQUARE]))
    assert image.path == root / "images" / "a.jpg"
    assert ".." not in image.name


def test_names_keep_their_folders():
    assert name_in_labels("town\\b/a.jpg") == "town/b/a.jpg"
    assert name_in_labels("./town/a.jpg") == "town/a.jpg"


def test_a_mask_of_another_size(root):
    other = {"size": [32, 48], "counts": [100, 20, 1416]}
    with pytest.raises(DatasetError, match=r"a mask of a\.jpg, 'thing', is 48x32 in place of 96x64"):
        read(coco(root, segmentation=other))


def test_an_outline_of_two_points_is_named(root):
    found, warned = areas(coco(root, segmentation=[[1, 1, 5, 5]]))
    assert found == []
    assert warned == ["a.jpg: a shape labelled 'thing' covers no pixel and is left out: outline the object"]


@pytest.mark.parametrize(
    ("kind", "points", "area"),
    [
        ("polygon", CORNERS, 48 * 32),
        ("rotation", CORNERS, 48 * 32),
        ("rectangle", [[72, 48], [24, 16]], 48 * 32),
        ("line", CORNERS[:2], None),
        ("linestrip", CORNERS, None),
        ("point", CORNERS[:1], None),
    ],
)
def test_what_has_no_inside_in_labelme(root, kind, points, area):
    found, warned = areas(labelme(root, shape_type=kind, points=points))
    assert found == ([] if area is None else [area])
    assert [f"a {kind} labelled 'thing' covers no pixel" in each for each in warned] == [True] * (
        area is None
    )


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ('<polyline label="thing" points="1,1;5,5"/>', 1),
        ('<points label="thing" points="1,1"/>', 1),
        ('<tag label="rain"/>', 0),
        ('<box label="thing" xtl="24" ytl="16" xbr="72" ybr="48"/>', 0),
    ],
)
def test_what_has_no_inside_in_cvat(root, shape, count):
    (root / "annotations.xml").write_text(
        "<annotations><version>1.1</version>"
        f'<image id="0" name="images\\a.jpg" width="96" height="64">{shape}</image></annotations>'
    )
    found, warned = areas(root)
    assert found == ([48 * 32] if "box" in shape else [])
    assert len(warned) == count


def in_utf_16(path):
    """Stores a text anew as Windows exports it."""
    path.write_bytes(path.read_text(encoding="utf-8-sig").replace("\n", "\r\n").encode("utf-16"))


@pytest.mark.parametrize("name", ["instances.JSON", "instances.Json"])
def test_coco_in_utf_16_and_capitals(root, name):
    in_utf_16(coco(root, segmentation=[SQUARE]) / "instances.json")
    (root / "instances.json").rename(root / name)
    assert areas(root) == ([48 * 32], [])


def test_labelme_in_utf_16_and_capitals_beside_other_json(root):
    in_utf_16(labelme(root) / "a.json")
    (root / "a.json").rename(root / "a.JSON")
    (root / "1.json").write_text('{"version": 1}')
    assert areas(root) == ([48 * 32], [])


def test_yolo_in_utf_16_and_capitals(root):
    (root / "labels").mkdir()
    (root / "labels" / "a.TXT").write_bytes("0 0.25 0.25 0.75 0.25 0.75 0.75\r\n".encode("utf-16"))
    (root / "labels" / "Classes.txt").write_text("thing\n")
    (root / "data.yaml").write_bytes("names: [thing]\r\n".encode("utf-16"))
    sizes, warned = areas(root)
    assert len(sizes) == 1
    assert warned == []
