import numpy as np
import pytest
from label_cases import HEIGHT, SIZE, WIDTH, dot, found, two_parts
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.core.input_warnings import collect_warnings
from oodseg.data import open_dataset
from oodseg.exchange import LabelledImage, read, write


@pytest.fixture
def out(labelled, tmp_path):
    write(labelled, tmp_path / "out", "yolo")
    return tmp_path / "out"


def test_what_is_lost_is_said(labelled, tmp_path):
    notes = write(labelled, tmp_path / "out", "yolo").notes
    holes = 16 + 9 + 4 * 52  # of both rings, and of the stripe, open at the side
    assert len(notes) == 2
    assert notes[0].startswith("polygons have no holes: ")
    assert notes[0].endswith("pixels in holes of 2 objects are filled")
    assert int(notes[0].split()[4]) < holes
    assert notes[1] == "polygons have one part: 1 objects in several parts became 2"


def test_nothing_is_lost_without_holes(tmp_path, labelled):
    solid = np.zeros(SIZE, bool)
    solid[4:9, 3:20] = solid[9:14, 8:12] = True
    image = LabelledImage(
        "a.png", HEIGHT, WIDTH, (found(solid, 1), found(dot(0, 59), 1)), path=labelled[0].path
    )
    assert write([image], tmp_path / "out", "yolo").notes == ()
    assert [each.rle for each in read(tmp_path / "out")[0].objects] == [each.rle for each in image.objects]


def test_only_holes_and_parts_differ(out, labelled):
    first, empty, last = read(out)
    assert [image.name for image in (first, empty, last)] == ["a.png", "b.png", "sub/a.png"]
    square = np.zeros(SIZE, bool)
    square[3:15, 5:17] = True
    masks = [each.mask for each in first.objects]
    assert sum((mask == square).all() for mask in masks) == 1
    assert (np.logical_or.reduce(masks) == (square | two_parts() | dot(20, 59))).all()
    assert len(first.objects) == 4
    assert empty.objects == ()
    assert (last.ignored[0].mask == labelled[2].ignored[0].mask).all()


def test_supervision_reads_the_same_pixels(out):
    supervision = pytest.importorskip("supervision")
    dataset = supervision.DetectionDataset.from_yolo(
        str(out / "images"), str(out / "labels"), str(out / "data.yaml"), force_masks=True
    )
    by_path = {str(image.path): image for image in read(out)}
    for path, _, detections in dataset:
        expected = sorted(each.mask.tobytes() for _, each in by_path[path].labelled())
        masks = [] if detections.mask is None else np.asarray(detections.mask, bool)
        assert sorted(mask.tobytes() for mask in masks) == expected


def test_corners_lie_within_their_pixel(out):
    """Tools that cut off and tools that round find the same pixel."""
    shares = np.array((out / "labels" / "a.txt").read_text().splitlines()[-1].split()[1:], float)
    x = shares[::2] * SIZE[1]
    assert (np.floor(x) == np.round(x)).all()


def test_boxes_are_filled(out):
    (out / "labels" / "b.txt").write_text("0 0.5 0.5 0.1 0.1\n\n1 0.25 0.25 0.1 0.1 0.9\n")
    image = read(out)[1]
    assert image.objects[0].mask[18:22, 27:33].all()
    assert len(image.ignored) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("7 0.1 0.1 0.2 0.1 0.2 0.2", "the class 7 has no name in data.yaml"),
        ("0 0.1 0.1 0.2", r"b\.txt"),
        ("0 a b c d", "could not convert"),
    ],
)
def test_a_broken_line_is_one_sentence(out, text, word):
    (out / "labels" / "b.txt").write_text(text)
    with pytest.raises(DatasetError, match=word):
        read(out)


@pytest.mark.parametrize("text", ["names: [", "nc: 2", "names: 3"])
def test_broken_classes_are_one_sentence(out, text):
    (out / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"data\.yaml holds no classes of YOLO"):
        read(out)


def test_names_may_be_a_list(out):
    (out / "data.yaml").write_text("names: [ignore, unknown]")
    assert len(read(out)[0].ignored) == 4


def test_a_missing_image_is_one_sentence(out):
    (out / "images" / "b.png").unlink()
    with pytest.raises(DatasetError, match="there is no image b in images/"):
        read(out)


SQUARE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"


def from_others(root, text=SQUARE, names="names: [anomaly]\n", image="a.jpg"):
    """A folder as tools other than ours write it; images are 96x64."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (96, 64)).save(root / "images" / image)
    (root / "labels" / "a.txt").write_text(text)
    (root / "data.yaml").write_text(names)
    return root


@pytest.mark.parametrize(
    "given",
    [
        {"text": f"{SQUARE} 0.9"},  # the confidence of a prediction
        {"text": f"\ufeff{SQUARE}\r\n"},
        {"names": "\ufeffnames: [anomaly]\n"},
        {"names": "names: [no, ignore]\n"},
        {"names": "names:\n  0: on\n"},
        {"image": "a.JPG"},
        {"image": "a.PNG"},
    ],
)
def test_what_other_tools_write(tmp_path, given):
    (image,) = read(from_others(tmp_path, **given))
    assert image.path == tmp_path / "images" / given.get("image", "a.jpg")
    assert [each.area for each in image.objects] == [49 * 33]


def test_names_of_classes_beside_the_labels(tmp_path):
    (from_others(tmp_path) / "labels" / "classes.txt").write_text("anomaly\n")
    assert [image.name for image in read(tmp_path)] == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0 10 10 50 10 50 50", "is no class with shares of width and height"),
        ("0 nan 0.1 0.5 0.1 0.5 0.5", "is no class with shares"),
        ("0,0.1,0.1,0.5,0.1,0.5,0.5", "is no class with shares"),
        ("0 0.5 0.5", "is no class with shares"),
    ],
)
def test_what_is_no_label(tmp_path, text, fault):
    with pytest.raises(DatasetError, match=fault):
        read(from_others(tmp_path, text))


def test_images_without_labels_are_named(tmp_path):
    Image.new("RGB", (96, 64)).save(from_others(tmp_path) / "images" / "b.jpg")
    with collect_warnings(forward=False) as warned:
        assert [frame.name for frame in open_dataset(tmp_path).frames] == ["a"]
    assert len(warned) == 1
    assert "images without labels of YOLO segmentation are left out, 1 of them (b.jpg)" in warned[0]
    (tmp_path / "labels" / "b.txt").write_text("")
    with collect_warnings(forward=False) as warned:
        assert [frame.name for frame in open_dataset(tmp_path).frames] == ["a", "b"]
    assert warned == []
