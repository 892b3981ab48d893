import json

import numpy as np
import pytest
from label_cases import HEIGHT, SIZE, WIDTH, assert_same, found, ring
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.core.prediction import Prediction
from oodseg.core.registry import names
from oodseg.data import open_dataset
from oodseg.exchange import LabelledImage, read, read_results, write
from oodseg.exchange.earlier import RECORD
from oodseg.exchange.transfer import format_of

FORMATS = names("formats")
LOSSY = {"yolo", "smiyc", "oodis"}


def test_a_folder_of_results_is_taken(tmp_path):
    photo = tmp_path / "street.png"
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(photo)
    mask = ring(4, 4, 12)
    prediction = Prediction.from_masks(mask[None], [[3, 3, 17, 17]], [0.8], path=photo)
    prediction.save(tmp_path / "found", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    (tmp_path / "found" / "images").mkdir()
    photo.rename(tmp_path / "found" / "images" / "street.png")
    export = write(tmp_path / "found", tmp_path / "out")
    assert (export.images, export.objects, export.notes) == (1, 1, ())
    (image,) = read(tmp_path / "out")
    assert (image.objects[0].mask == mask).all()
    assert image.objects[0].confidence == 0.8
    assert image.path == tmp_path / "out" / "images" / "street.png"


def test_predictions_are_taken(tmp_path):
    mask = ring(4, 4, 12)
    prediction = Prediction.from_masks(mask[None], [[3, 3, 17, 17]], [0.8])
    write([prediction], tmp_path, images="none")
    assert read(tmp_path)[0].objects[0].rle == prediction.objects[0].rle


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_nothing_at_all(name, tmp_path):
    assert write([], tmp_path / "out", name).images == 0


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in LOSSY])
def test_masks_come_back_pixel_by_pixel(name, labelled, tmp_path):
    assert write(labelled, tmp_path / "out", name).notes == ()
    assert_same(read(tmp_path / "out"), labelled)


@pytest.mark.parametrize("name", FORMATS)
def test_what_an_earlier_export_left_there_is_said(name, labelled, tmp_path):
    out = tmp_path / "out"
    before = write(labelled, out, name).notes
    assert write(labelled, out, name).notes == before, "nothing is left by an export of the same images"
    (out / RECORD).unlink(missing_ok=True)  # earlier versions kept none
    after = write(labelled[:1], out, name).notes
    left = {each.name for each in read(out, name)} - {"a.png", "a"}
    said = [note for note in after if f"labels of {len(left)} images that are not among these" in note]
    assert len(said) == bool(left)
    assert all("sub" in note and "choose another folder" in note for note in said)


@pytest.mark.parametrize("name", ["yolo", "supervisely", "oodis"])
def test_what_is_left_there_is_not_read(name, labelled, tmp_path):
    out = tmp_path / "out"
    write(labelled, out, name)
    (out / RECORD).unlink(missing_ok=True)
    for file in format_of(name).files(out):
        file.write_bytes(b"\xff no labels")
    notes = write(labelled[:1], out, name).notes
    assert any(f"labels of {len(labelled) - 1} images" in note for note in notes)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognised_and_by_no_other(name, labelled, tmp_path):
    write(labelled, tmp_path / "out", name)
    assert [each for each in FORMATS if format_of(each).matches(tmp_path / "out")] == [name]
    assert [each for each in FORMATS if format_of(each).matches(tmp_path / "photos")] == []


@pytest.mark.parametrize("placement", ["copy", "link"])
def test_images_lie_beside_their_labels(labelled, tmp_path, placement):
    write(labelled, tmp_path / "out", images=placement)
    placed = tmp_path / "out" / "images" / "sub" / "a.png"
    assert placed.is_symlink() == (placement == "link")
    assert placed.read_bytes() == labelled[2].path.read_bytes()
    write(read(tmp_path / "out"), tmp_path / "out", images=placement)  # onto themselves
    assert_same(read(tmp_path / "out"), labelled)


def test_an_image_that_exif_turns_is_written_upright(tmp_path):
    pixels = np.zeros((60, 40, 3), np.uint8)  # lies on its side
    pixels[:30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    write([LabelledImage("turned.jpg", 40, 60, path=tmp_path / "turned.jpg")], tmp_path / "out")
    with Image.open(tmp_path / "out" / "images" / "turned.jpg") as image:
        assert image.size == (60, 40)
        assert image.getexif().get(0x0112, 1) == 1
        upright = np.asarray(image)
    assert upright[:, 35:].min() > 200
    assert upright[:, :25].max() < 50


def test_progress_is_told(labelled, tmp_path):
    told = []
    write(labelled, tmp_path / "out", progress=lambda *step: told.append(step))
    assert told == [
        *(("placing images", done, 3) for done in (1, 2, 3)),
        *(("writing labels", done, 3) for done in (1, 2, 3)),
    ]


def test_an_image_that_is_gone_is_one_sentence(labelled, tmp_path):
    labelled[1].path.unlink()
    with pytest.raises(ImageError, match=r"b\.png is gone: put it back"):
        write(labelled, tmp_path / "out")
    write(labelled, tmp_path / "out", images="none")


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("a.jpg", "A.png"), "a.jpg and A.png differ"),
        (("../a.jpg",), "'../a.jpg' cannot name"),
        (("/a.jpg",), "'/a.jpg' cannot name"),
    ],
)
def test_names_that_cannot_be_kept_apart(names, word, tmp_path):
    with pytest.raises(ConfigError, match=word):
        write([LabelledImage(name, *SIZE) for name in names], tmp_path / "out", images="none")


def test_labels_of_two_formats_never_share_a_folder(labelled, tmp_path):
    write(labelled, tmp_path / "out", "cvat")
    with pytest.raises(ConfigError, match=r"holds labels of CVAT for images 1.1 already: choose another"):
        write(labelled, tmp_path / "out", "coco")
    write(labelled[:1], tmp_path / "out", "cvat")
    write(labelled, tmp_path / "two", "coco")
    (tmp_path / "out" / "annotations.xml").rename(tmp_path / "two" / "annotations.xml")
    with pytest.raises(DatasetError, match=r"holds labels of COCO instances and CVAT for images 1.1: leave"):
        read(tmp_path / "two")
    with pytest.raises(DatasetError, match="leave one of them there"):
        open_dataset(tmp_path / "two")
    assert len(read(tmp_path / "two", "cvat")) == 1


def test_faults_are_one_sentence(labelled, tmp_path):
    with pytest.raises(ConfigError, match="no 'cocoa' among the formats; choose one of: coco"):
        write(labelled, tmp_path / "out", "cocoa")
    with pytest.raises(DatasetError, match=r"holds no predictions\.json"):
        write(tmp_path / "photos", tmp_path / "out")
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "tracks.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"holds no predictions\.json: it is of a video; save its frames"):
        write(tmp_path / "video", tmp_path / "out")
    with pytest.raises(DatasetError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is a file"):
        write(labelled, labelled[0].path)
    (tmp_path / "predictions.json").write_text(json.dumps({"images": [{}]}))
    with pytest.raises(
        DatasetError, match=r"predictions\.json holds no results of `oodseg predict` \(KeyError"
    ):
        read_results(tmp_path)


def test_labels_other_than_ignore_are_unknown():
    pairs = [("dog", found(ring(0, 0, 9), 1)), (" Ignore", found(ring(9, 9, 9), 1))]
    image = LabelledImage.from_labelled("a/b.c.png", HEIGHT, WIDTH, pairs)
    assert (len(image.objects), len(image.ignored), image.stem) == (1, 1, "a/b.c")
