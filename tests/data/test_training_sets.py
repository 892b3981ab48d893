import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.core.taxonomy import CLASSES, IGNORE, LOOSE
from oodseg.data.training import StreetImage, street_images
from training_data import SQUEEZED, add_squeezed, make_training_data, street, write

NAMES = {name: code for code, name in enumerate(CLASSES)} | {"none": IGNORE}


@pytest.fixture
def root(tmp_path):
    return make_training_data(tmp_path / "data")


def mapped(tmp_path, source, code, loose=False):
    street(tmp_path, "one", (16, 16), [code], 0)
    image = StreetImage(source, tmp_path / "images" / "one.jpg", tmp_path / "labels" / "one.png")
    _, labels = image.read(loose)
    (value,) = np.unique(labels)
    return int(value)


@pytest.mark.parametrize(("code", "name"), [
    (0, "sky"), (1, "far objects"), (2, "roadside objects"), (3, "drivable"), (4, "non-drivable"),
    (5, "far objects"), (6, "roadside objects"), (7, "roadside objects"), (8, "vehicles"),
    (9, "living things"), (10, "living things"), (11, "none"), (12, "none"), (255, "none"),
])  # fmt: skip
def test_camvid_codes(tmp_path, code, name) -> None:
    assert mapped(tmp_path, "camvid", code) == NAMES[name]


@pytest.mark.parametrize(
    ("code", "expected"), [*zip(range(7), range(7), strict=True), (7, IGNORE), (255, IGNORE)]
)
def test_idd_codes_are_ours(tmp_path, code, expected) -> None:
    assert mapped(tmp_path, "idd_lite", code) == expected


@pytest.mark.parametrize(("code", "name"), [
    (0, "none"), (1, "none"), (4, "none"), (5, "none"), (6, "none"), (7, "drivable"), (8, "non-drivable"),
    (11, "far objects"), (12, "roadside objects"), (13, "roadside objects"), (17, "roadside objects"),
    (19, "roadside objects"), (20, "roadside objects"), (21, "far objects"),
    (22, "non-drivable"), (23, "sky"),
    (24, "living things"), (25, "living things"), (26, "vehicles"), (27, "vehicles"), (28, "vehicles"),
    (31, "vehicles"), (32, "vehicles"), (33, "vehicles"),
])  # fmt: skip
def test_cityscapes_codes(tmp_path, code, name) -> None:
    assert mapped(tmp_path, "cityscapes_sample", code) == NAMES[name]


@pytest.mark.parametrize(("source", "code", "expected"), [
    ("cityscapes_sample", 5, LOOSE), ("cityscapes_sample", 4, IGNORE), ("cityscapes_sample", 7, 0),
    ("idd_lite", 5, 5), ("camvid", 5, 5), ("camvid", 11, IGNORE),
])  # fmt: skip
def test_loose_things_are_told_where_asked_for(tmp_path, source, code, expected) -> None:
    assert mapped(tmp_path, source, code, loose=True) == expected


def test_codes_do_not_depend_on_how_the_label_is_stored(tmp_path) -> None:
    street(tmp_path, "one", (16, 16), [3, 8, 1, 0, 11], 0)
    path = tmp_path / "labels" / "one.png"
    image = StreetImage("camvid_classes", tmp_path / "images" / "one.jpg", path)
    expected = image.read()[1]
    assert set(np.unique(expected)) == {0, 1, 3, 8, IGNORE}
    grey = Image.open(path)
    grey.load()
    colours = np.random.default_rng(0).integers(0, 256, 768).tolist()
    palette = Image.fromarray(np.asarray(grey), "P")
    palette.putpalette(colours)
    for stored in (palette, grey.convert("RGB"), grey.convert("RGBA")):
        stored.save(path)
        assert np.array_equal(image.read()[1], expected)
    palette.convert("RGB").save(path)
    with pytest.raises(DatasetError, match=r"one\.png is a colour image"):
        image.read()


def test_splits_share_no_image_and_no_drive(root) -> None:
    train, val = street_images(root, "train"), street_images(root, "val")
    assert set(train) == {"camvid", "idd_lite", "cityscapes_sample"}
    assert set(val) == {"camvid", "idd_lite"}
    files = [{each.image for images in split.values() for each in images} for split in (train, val)]
    assert not files[0] & files[1]
    drives = [{each.image.stem.split("_")[0] for each in split["idd_lite"]} for split in (train, val)]
    assert not drives[0] & drives[1]
    assert (len(drives[0]), len(drives[1])) == (9, 3)


def test_images_are_rgb(root) -> None:
    path = root / "camvid" / "train" / "images" / "train_0.jpg"
    write(path, np.full((48, 64, 3), (200, 20, 20), np.uint8))  # OpenCV writes BGR
    image, labels = street_images(root, "train")["camvid"][0].read()
    assert image.shape == (48, 64, 3)
    assert image[..., 2].mean() > 150 > image[..., 0].mean()
    assert labels.shape == (48, 64)


def test_unknown_split(root) -> None:
    with pytest.raises(DatasetError, match="'test'"):
        street_images(root, "test")


def test_missing_folder_label_and_file_are_named(root) -> None:
    label = root / "camvid" / "train" / "labels" / "train_1.png"
    content = label.read_bytes()
    label.unlink()
    with pytest.raises(DatasetError, match=r"train_1\.jpg has no label"):
        street_images(root, "train")
    label.write_bytes(content)
    broken = street_images(root, "train")["camvid"][1]
    label.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"train_1\.png is empty"):
        broken.read()
    write(label, np.zeros((10, 10), np.uint8))
    with pytest.raises(DatasetError, match=r"train_1\.png is not of the size"):
        broken.read()
    with pytest.raises(DatasetError, match="must hold images/ and labels/"):
        street_images(root / "camvid", "train")


def test_squeezed_frames_are_stretched_again(root) -> None:
    add_squeezed(root, side=40)
    found = street_images(root, "train")["cityscapes_640"]
    assert [each.image.name for each in found] == [f"{name}.webp" for name in SQUEEZED["train"]]
    image, labels = found[0].read()
    assert image.shape == (40, 80, 3)
    assert labels.shape == (40, 80)
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint8)
    # What is red lies left below, and its label with it.
    red = (image[..., 0] > 150) & (image[..., 1] < 120)
    assert red[24:, 4:36].all()
    vehicles = labels == NAMES["vehicles"]
    assert vehicles[20:, :40].all()
    assert set(np.unique(labels)) == {NAMES["vehicles"], NAMES["drivable"]}
    assert vehicles.sum() == 20 * 40


def test_some_cities_are_kept_for_validation(root) -> None:
    add_squeezed(root)
    for split, names in SQUEEZED.items():
        assert [each.image.stem for each in street_images(root, split)["cityscapes_640"]] == list(names)


def test_a_broken_squeezed_frame_is_named(root) -> None:
    add_squeezed(root)
    frame = street_images(root, "val")["cityscapes_640"][0]
    frame.image.write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match=r"jena_1\.webp cannot be read"):
        frame.read()


def test_files_that_systems_leave_are_skipped(root) -> None:
    listed = street_images(root, "train")
    for path in list(root.rglob("*.*")):
        path.with_name(f"._{path.name}").write_bytes(b"litter")
        for name in (".DS_Store", "Thumbs.db"):
            path.with_name(name).write_bytes(b"litter")
    assert street_images(root, "train") == listed


def test_suffixes_may_be_in_capitals(root) -> None:
    names = [each.image.stem for each in street_images(root, "train")["camvid"]]
    for path in list((root / "camvid" / "train").rglob("*.*")):
        path.rename(path.with_suffix(path.suffix.upper()))
    found = street_images(root, "train")["camvid"]
    assert [each.image.stem for each in found] == names
    assert found[0].read()[1].any()
