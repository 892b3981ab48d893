import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from oodseg.core.encoding import encode_png
from oodseg.core.errors import ConfigError
from oodseg.core.prediction import Prediction
from oodseg.io.outputs import RunFolder, output_names

SHAPE = (40, 60)


def predict(*boxes, confidence=None):
    masks = np.zeros((len(boxes), *SHAPE), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    values = np.linspace(0.9, 0.3, len(boxes)) if confidence is None else confidence
    return Prediction.from_masks(
        masks, np.array(boxes, float).reshape(-1, 4), values, timings={"total": 12.34}, warnings=["mended"]
    )


@pytest.fixture
def pictures(tmp_path):
    found = []
    for name in ("bern/1.png", "ulm/1.png", "ulm/2.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(np.zeros((*SHAPE, 3), np.uint8)))
        found.append(path)
    return found


def make(tmp_path, pictures, settings=None, **options):
    return RunFolder(tmp_path / "out", pictures, settings or {"pipeline": "red"}, **options)


def write_all(folder, *predictions):
    image = np.zeros((*SHAPE, 3), np.uint8)
    for picture, prediction in zip(folder.pictures, predictions, strict=True):
        folder.write(picture, folder.fingerprint(picture), image, prediction)
    return json.loads(folder.finish().read_text())


def names_of(*paths):
    root, names = output_names([Path(path) for path in paths])
    return str(root), [str(names[Path(path)]) for path in paths]


@pytest.mark.parametrize(
    ("paths", "root", "names"),
    [
        (["/p/a.jpg"], "/p", ["a"]),
        (["/p/a.jpg", "/p/b.jpg"], "/p", ["a", "b"]),
        (["/p/x/a.jpg", "/p/y/a.jpg"], "/p", ["x/a", "y/a"]),
        (["/p/a.jpg", "/p/a.png", "/p/b.png"], "/p", ["a.jpg", "a.png", "b"]),
        (["/p/a.jpg", "/p/A.png"], "/p", ["a.jpg", "A.png"]),
        (["/p/a.jpg", "/p/a.png", "/p/a.jpg.png"], "/p", ["a.jpg", "a.png", "a.jpg.png"]),
        (["/p/a.b.jpg", "/p/a.c.jpg"], "/p", ["a.b", "a.c"]),
        (["/p/scan"], "/p", ["scan"]),
    ],
)
def test_names(paths, root, names):
    assert names_of(*paths) == (root, names)


@given(st.sets(st.from_regex(r"(x/|y/|x/y/)?[aA](\.b)?\.(jpg|png)(\.png)?", fullmatch=True), min_size=1))
def test_names_never_collide(paths):
    _, names = names_of(*(f"/p/{path}" for path in sorted(paths)))
    assert len(set(names)) == len(paths)


def test_coco_file_is_what_pycocotools_reads(tmp_path, pictures):
    boxes = [(5, 5, 20, 20), (30, 10, 50, 30)]
    data = write_all(make(tmp_path, pictures), predict(*boxes), predict(), predict(boxes[1]))
    assert data["categories"] == [{"id": 1, "name": "unknown"}]
    assert data["info"]["settings"]["pipeline"] == "red"
    assert data["info"]["version"]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(tmp_path / "out" / "predictions.json")
        found = truth.loadRes(data["annotations"])
        judge = COCOeval(truth, found, "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judge.stats[0] == pytest.approx(1)
    assert [image["file_name"] for image in truth.loadImgs([1, 2, 3])] == [
        "bern/1.png",
        "ulm/1.png",
        "ulm/2.png",
    ]
    assert sorted(truth.getAnnIds(imgIds=[1])) == [1, 2]
    assert truth.getAnnIds(imgIds=[2]) == []
    mask = truth.annToMask(truth.loadAnns([1])[0])
    assert mask[5:20, 5:20].all()
    assert mask.sum() == 225 == truth.loadAnns([1])[0]["area"]


def test_files_of_a_picture(tmp_path, pictures):
    folder = make(tmp_path, pictures)
    write_all(folder, predict((5, 5, 20, 20), (10, 10, 30, 30)), predict(), predict())
    mask = cv2.imread(str(tmp_path / "out/masks/bern/1.png"), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    confidence = cv2.imread(str(tmp_path / "out/confidence/bern/1.png"), cv2.IMREAD_UNCHANGED)
    assert confidence.dtype == np.uint16
    # The lower confidence wins where the two overlap.
    assert (confidence[6, 6], confidence[15, 15], confidence[0, 0]) == (
        round(0.9 * 65535),
        round(0.3 * 65535),
        0,
    )
    assert cv2.imread(str(tmp_path / "out/overlays/bern/1.png")).shape[1] == 11 * SHAPE[1]  # enlarged
    assert not cv2.imread(str(tmp_path / "out/masks/ulm/1.png"), cv2.IMREAD_UNCHANGED).any()


def test_a_later_run_finds_what_is_done(tmp_path, pictures):
    first = write_all(make(tmp_path, pictures), predict((5, 5, 20, 20)), predict(), predict())
    again = make(tmp_path, pictures)
    records = [again.done(picture, again.fingerprint(picture)) for picture in pictures]
    assert [len(record.annotations) for record in records] == [1, 0, 0]
    assert records[0].milliseconds == 12.3
    assert list(records[0].warnings) == ["mended"]
    assert json.loads(again.finish().read_text()) == first


@pytest.mark.parametrize(
    "change", ["settings", "format", "overlays", "fresh", "picture", "score map", "file"]
)
def test_what_changed_is_not_done(tmp_path, pictures, change):
    write_all(make(tmp_path, pictures), predict(), predict(), predict())
    folder = make(
        tmp_path,
        pictures,
        {"pipeline": "blue"} if change == "settings" else None,
        confidence_format="npy" if change == "format" else "png",
        overlays=change != "overlays",
        fresh=change == "fresh",
    )
    others = []
    if change == "picture":
        pictures[0].write_bytes(pictures[0].read_bytes() + b"x")
    elif change == "score map":
        others = [pictures[1]]
    elif change == "file":
        (tmp_path / "out/overlays/bern/1.png").unlink()
    assert folder.done(pictures[0], folder.fingerprint(pictures[0], *others)) is None


def test_another_picture_of_the_same_name_is_not_done(tmp_path, pictures):
    write_all(make(tmp_path, pictures[:1]), predict())
    folder = make(tmp_path, pictures[1:2])
    assert folder.path("masks", pictures[1]).is_file()
    assert folder.done(pictures[1], folder.fingerprint(pictures[1])) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fingerprint": 3}'])
def test_broken_records_count_as_not_done(tmp_path, pictures, text):
    folder = make(tmp_path, pictures)
    write_all(folder, predict(), predict(), predict())
    folder.path("records", pictures[0], ".json").write_text(text)
    again = make(tmp_path, pictures)
    assert again.done(pictures[0], again.fingerprint(pictures[0])) is None


def test_other_settings_leave_no_stale_files(tmp_path, pictures):
    write_all(make(tmp_path, pictures[:1]), predict())
    write_all(make(tmp_path, pictures[:1], confidence_format="npy", overlays=False), predict())
    files = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert files == ["1.json", "1.npy", "1.png", "predictions.json"]


def test_failures_are_listed_and_incomplete_runs_say_so(tmp_path, pictures):
    folder = make(tmp_path, pictures)
    folder.write(pictures[0], "f", np.zeros((*SHAPE, 3), np.uint8), predict())
    folder.fail(pictures[2], "it is empty")
    info = json.loads(folder.finish().read_text())["info"]
    assert info["failures"] == [{"file_name": "ulm/2.png", "reason": "it is empty"}]
    assert info["complete"] is False


def test_out_is_a_file(tmp_path, pictures):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        make(tmp_path, pictures)
