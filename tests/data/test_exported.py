import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.core.objects import OodObject
from oodseg.core.prediction import Prediction
from oodseg.core.registry import names
from oodseg.data import open_dataset, verify
from oodseg.evaluation import evaluate
from oodseg.exchange import LabelledImage, write
from oodseg.exchange.transfer import format_of

SHAPE = (40, 60)
FORMATS = [name for name in names("formats") if not format_of(name).submission]


def label_of(number):
    label = np.zeros(SHAPE, np.uint8)
    label[5:25, 10 + number : 30 + number] = 1
    label[8:12, 15:20] = 0  # a hole
    label[30:, :] = 255
    return label


@pytest.fixture
def labelled(tmp_path):
    """The same truth as label images, in `plain/`, and as objects."""
    images = []
    for number in (1, 2, 10):
        label = label_of(number)
        photo = tmp_path / "plain" / "images" / f"p{number}.png"
        for path, pixels in (
            (photo, np.full((*SHAPE, 3), 10 * number, np.uint8)),
            (tmp_path / "plain" / "labels" / photo.name, label),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        objects = (OodObject.from_mask(label == 1),)
        ignored = (OodObject.from_mask(label == 255),)
        images.append(LabelledImage(photo.name, *SHAPE, objects, ignored, photo))
    return images


def half(path):
    """Outlines the left half of the object with 0.8, and something else with 0.4."""
    number = int(path.stem[1:])
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, 5:25, 10 + number : 20 + number] = True
    masks[1, 5:15, 45:55] = True
    return Prediction.from_masks(masks, [[10, 5, 20, 25], [45, 5, 55, 15]], [0.8, 0.4], path=path)


@pytest.mark.parametrize("name", FORMATS)
def test_files_that_systems_leave_are_skipped(name, labelled, tmp_path):
    write(labelled, tmp_path / "out", name)
    names = [frame.name for frame in open_dataset(tmp_path / "out").frames]
    for path in [path for path in (tmp_path / "out").rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        path.with_name("Thumbs.db").write_bytes(b"litter")
    found = verify(open_dataset(tmp_path / "out"))
    assert [frame.name for frame in found.dataset.frames] == names


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "yolo"])
def test_figures_are_those_of_label_images(name, labelled, tmp_path):
    write(labelled, tmp_path / "corrected", name)
    data = open_dataset(tmp_path / "corrected")
    assert (data.key, data.title) == ("exported", f"corrected ({format_of(name).title})")
    assert [frame.name for frame in data.frames] == ["p1", "p2", "p10"]
    plain = evaluate(tmp_path / "plain", half, resamples=5)
    found = evaluate(data, half, resamples=5)
    assert repr(found.methods[0].figures) == repr(plain.methods[0].figures)
    assert found.methods[0].images == plain.methods[0].images


def test_a_changed_outline_is_another_fingerprint(labelled, tmp_path):
    write(labelled, tmp_path / "one", "coco")
    write([*labelled[:2], LabelledImage("p10.png", *SHAPE, path=labelled[2].path)], tmp_path / "two", "coco")
    one, two = (verify(open_dataset(tmp_path / name)) for name in ("one", "two"))
    assert (one.labelled, one.images, one.empty, two.empty) == (3, 3, 0, 1)
    assert one.codes.keys() == {0, 1, 255}
    assert one.fingerprint != two.fingerprint


def test_labels_of_no_image_are_one_sentence(tmp_path):
    write([], tmp_path / "out", "coco")
    with pytest.raises(DatasetError, match="but of no image"):
        open_dataset(tmp_path / "out")
