"""The functions of the exported predictor; that its masks are the pipeline's is in `test_onnx`."""

import io
import re
import runpy
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

tool = pytest.importorskip("oodseg.export.onnx_predict")


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_are_those_of_coco(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((int(rng.integers(1, 60)), int(rng.integers(1, 60)))) < rng.random() ** 2
    mask = np.repeat(mask, int(rng.integers(1, 9)), axis=0)
    found = tool.encode(mask)
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert found["size"] == expected["size"]
    assert found["counts"] == expected["counts"].decode()


@pytest.mark.parametrize("value", [False, True])
def test_run_lengths_of_one_value(value):
    mask = np.full((3, 5), value)
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert tool.encode(mask)["counts"] == expected["counts"].decode()


def two_squares():
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 10:20, 5:25] = masks[1, 0:4, 50:60] = True
    return masks, np.array([0.9, 0.25], np.float32)


def test_annotations():
    masks, confidence = two_squares()
    first, second = tool.annotations(masks, confidence, 3, 7)
    assert (first["id"], second["id"], first["image_id"]) == (7, 8, 3)
    assert first["bbox"] == [5, 10, 20, 10]
    assert second["area"] == 40
    assert second["score"] == 0.25
    assert np.array_equal(coco_mask.decode(first["segmentation"]), masks[0])


def test_overlays_leave_the_image_alone_but_for_lines_and_labels():
    masks, confidence = two_squares()
    image = np.full((40, 60, 3), 100, np.uint8)
    drawn = tool.draw(image, masks, confidence)
    assert drawn.shape == image.shape
    assert (image == 100).all()
    assert (drawn != image).any()
    assert np.array_equal(tool.draw(image, masks[:0], confidence[:0]), image)


def test_what_counts_as_input(tmp_path, monkeypatch):
    for name in (
        "a/x.png",
        "a/deep/x.JPG",
        "a/.hidden/x.png",
        "a/._x.png",
        "a/notes.md",
        "x.png",
        "y.png",
        "a/out/masks/x.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'y.png'}\n\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tmp_path / 'x.png'}\n"))
    given = [tmp_path / "a", tmp_path / "x.png", tmp_path / "list.txt", "-"]
    found = list(tool.find([str(each) for each in given], tmp_path / "a" / "out"))
    assert [name for _, name in found] == ["deep/x.JPG", "x.png", "x-2.png", "y.png", "x-3.png"]
    assert [path.parent.name for path, _ in found][:2] == ["deep", "a"]


def test_images_of_any_path(tmp_path):
    path = tmp_path / "grün" / "日本.png"
    tool.write(path, np.full((4, 6, 3), (1, 2, 3), np.uint8))
    assert tool.read(path)[0, 0].tolist() == [1, 2, 3]
    for content in (b"no image", b""):
        (tmp_path / "broken.png").write_bytes(content)
        with pytest.raises(ValueError, match="is not an image"):
            tool.read(tmp_path / "broken.png")
    with pytest.raises(ValueError, match="does not exist"):
        tool.read(tmp_path / "none.png")
    assert cv2.imread(str(tmp_path / "none.png")) is None


def run(*arguments, folder, without=None):
    """The tool in a process of its own, beside a copy of nothing but itself; `without` cannot be imported."""
    copy = folder / "tool" / "onnx_predict.py"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(tool.__file__, copy)
    hidden = f"sys.modules[{without!r}] = None; " if without else ""
    code = f"import runpy, sys; {hidden}sys.argv[0] = {str(copy)!r}; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=600,
    )


@pytest.mark.parametrize("library", ["cv2", "onnxruntime"])
def test_a_missing_library_is_one_sentence(tmp_path, library):
    found = run("a.png", folder=tmp_path, without=library)
    assert found.returncode == 1
    assert found.stderr == f"{library} is missing: pip install numpy opencv-python-headless onnxruntime\n"


def test_the_package_is_imported_without_onnx_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert runpy.run_path(tool.__file__)["encode"]
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModuleNotFoundError):
        runpy.run_path(tool.__file__)


@pytest.mark.parametrize("manifest", [None, "{", '{"graphs": {"detector": {"file": "none.onnx"}}}'])
def test_a_folder_that_is_not_whole_is_one_sentence(tmp_path, manifest):
    if manifest is not None:
        (tmp_path / "tool").mkdir()
        (tmp_path / "tool" / "manifest.json").write_text(manifest)
    found = run("a.png", folder=tmp_path)
    assert found.returncode == 1
    assert re.fullmatch(r".*tool is not whole \(.*\): copy it again, or export once more\n", found.stderr)
    assert not (tmp_path / "onnx-results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--providers", "None"], "this ONNX Runtime has no None; it has"),
        (["a.png", ""], "one of the inputs is empty"),
        (["a.png", "--min-confidence", "7"], "a number from 0 to 1"),
        (["a.png", "--min-confidence", "nan"], "a number from 0 to 1"),
        (["a.png", "--out", "file"], "file is a file: choose a folder"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, arguments, words):
    (tmp_path / "file").touch()
    found = run(*arguments, folder=tmp_path)
    assert found.returncode == 2
    assert words in found.stderr


def test_files_are_written_whole(tmp_path):
    path = tmp_path / "deep" / "a.png"
    tool.write(path, np.full((4, 5), 7, np.uint8))
    assert (cv2.imread(str(path), 0) == 7).all()
    tool.write(path, b"text")
    assert [each.read_bytes() for each in path.parent.iterdir()] == [b"text"]
