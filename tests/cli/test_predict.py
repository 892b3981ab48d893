import errno
import json
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.pipeline import S2M
from redness import HEIGHT, WIDTH, save_street

BOX = (20, 30, 60, 70)


@pytest.fixture
def photos(tmp_path):
    for number in range(1, 4):
        save_street(tmp_path / "photos" / f"{number}.png", BOX)
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(red, out, *arguments):
    arguments = [str(each) for each in arguments]
    return CliRunner().invoke(
        app, ["predict", *arguments, "--out", str(out), "--pipeline", str(red)], env={"COLUMNS": "250"}
    )


def coco_of(out):
    return json.loads((out / "predictions.json").read_text())


def assert_sentence(result, code, *words):
    """One clear sentence, the right exit code, no traceback."""
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    text = result.output
    assert "Traceback" not in text
    for word in words:
        assert str(word) in text, text


def assert_whole(out):
    """Every file can be read to its end, and nothing else lies about."""
    for path in out.rglob("*"):
        if path.is_dir():
            continue
        assert not path.name.startswith("."), path
        assert path.suffix in {".png", ".npy", ".json"}
        if path.suffix == ".png":
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None
        elif path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        else:
            json.loads(path.read_text())


def count_calls(monkeypatch):
    """Counts how many pictures the pipeline is asked for."""
    calls = []
    original = S2M.__call__

    def counting(self, picture, *args, **kwargs):
        calls.append(picture)
        return original(self, picture, *args, **kwargs)

    monkeypatch.setattr(S2M, "__call__", counting)
    return calls


def test_writes_mask_confidence_overlay_and_coco(red, photos, out):
    result = run(red, out, photos)
    assert result.exit_code == 0, result.output
    mask = cv2.imread(str(out / "masks" / "2.png"), cv2.IMREAD_UNCHANGED)
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[30:70, 20:60] = True
    assert np.array_equal(mask, truth * np.uint8(255))
    coco = coco_of(out)
    assert [each["file_name"] for each in coco["images"]] == ["1.png", "2.png", "3.png"]
    assert coco["annotations"][0]["bbox"] == [20, 30, 40, 40]
    assert coco["info"]["complete"] is True
    confidence = cv2.imread(str(out / "confidence" / "2.png"), cv2.IMREAD_UNCHANGED)
    assert confidence.dtype == np.uint16
    assert np.allclose(confidence[truth] / 65535, coco["annotations"][0]["score"], atol=1e-4)
    assert not confidence[~truth].any()
    overlay = cv2.imread(str(out / "overlays" / "2.png"))
    assert overlay.shape[1] == 5 * WIDTH  # enlarged, so that its labels can be read
    tools = COCO(out / "predictions.json")
    assert np.array_equal(tools.annToMask(tools.loadAnns([1])[0]).astype(bool), truth)
    assert_whole(out)


def test_summary_counts(red, photos, out):
    save_street(photos / "4.png")
    text = run(red, out, photos).output
    counts = {
        line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in text.splitlines() if line.strip()
    }
    assert counts["pictures"] == "4"
    assert counts["with unknown objects"] == "3"
    assert counts["unknown objects"] == "3"
    assert float(counts["median seconds a picture"]) >= 0


def test_npy_confidence_without_overlays(red, photos, out):
    assert run(red, out, photos / "1.png", "--confidence-format", "npy", "--no-overlay").exit_code == 0
    confidence = np.load(out / "confidence" / "1.npy", allow_pickle=False)
    assert confidence.dtype == np.float32
    assert confidence.shape == (HEIGHT, WIDTH)
    assert 0 < confidence.max() <= 1
    assert not (out / "overlays").exists()


def test_second_run_does_nothing_again(red, photos, out, monkeypatch):
    assert run(red, out, photos).exit_code == 0
    first = coco_of(out)
    calls = count_calls(monkeypatch)
    result = run(red, out, photos)
    assert calls == []
    assert "done before" in result.output
    assert coco_of(out) == first


@pytest.mark.parametrize("change", ["overwrite", "masks", "picture", "output", "record"])
def test_what_changed_is_done_again(red, photos, out, monkeypatch, change):
    assert run(red, out, photos).exit_code == 0
    extra, expected = [], 1
    if change == "overwrite":
        extra, expected = ["--overwrite"], 3
    elif change == "masks":
        extra, expected = ["--masks", "grabcut"], 3
    elif change == "picture":
        save_street(photos / "2.png", (0, 0, 30, 30))
        os.utime(photos / "2.png", ns=(1, 1))
    elif change == "output":
        (out / "masks" / "3.png").unlink()
    else:
        (out / "records" / "1.json").write_text("{")
    calls = count_calls(monkeypatch)
    assert run(red, out, photos, *extra).exit_code == 0
    assert len(calls) == expected
    assert len(coco_of(out)["images"]) == 3


def test_ctrl_c_half_way_keeps_whole_files_and_resumes(red, photos, out, monkeypatch):
    calls = count_calls(monkeypatch)
    counted = S2M.__call__

    def stopping(self, *args, **kwargs):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(S2M, "__call__", stopping)
        assert_sentence(run(red, out, photos), 130, "interrupted after 2 of 3 pictures", "same command again")
    assert_whole(out)
    assert [each["file_name"] for each in coco_of(out)["images"]] == ["1.png", "2.png"]
    assert coco_of(out)["info"]["complete"] is False
    calls.clear()
    assert run(red, out, photos).exit_code == 0
    assert len(calls) == 1
    assert coco_of(out)["info"]["complete"] is True
    assert len(coco_of(out)["images"]) == 3


@pytest.mark.parametrize("after", range(1, 9))
def test_ctrl_c_within_writing_leaves_no_half_file(red, photos, out, monkeypatch, after):
    real, calls = os.fsync, []

    def stopping(descriptor):
        calls.append(descriptor)
        if len(calls) == after:
            raise KeyboardInterrupt
        real(descriptor)

    monkeypatch.setattr("oodseg.core.files.os.fsync", stopping)
    # Two pictures of four files each, then the COCO file.
    result = run(red, out, photos / "1.png", photos / "2.png")
    assert_sentence(result, 130, f"interrupted after {(after - 1) // 4} of 2 pictures")
    assert_whole(out)
    assert len(coco_of(out)["images"]) == (after - 1) // 4


@pytest.mark.parametrize("after", [1, 2, 5, 13])
def test_full_disk_is_one_sentence_and_no_half_file(red, photos, out, monkeypatch, after):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("oodseg.core.files.os.fsync", full)
        assert_sentence(run(red, out, photos), 2, "the disk is full", out, "free some space")
    assert_whole(out)
    assert run(red, out, photos).exit_code == 0
    assert len(coco_of(out)["images"]) == 3


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def spoil(path: Path, how: str) -> str:
    """Makes a broken picture; returns a word that its message must hold."""
    if how == "zero bytes":
        path.write_bytes(b"")
        return "empty"
    if how == "text":
        path.write_text("this is no picture\n" * 50)
        return "not a picture"
    if how == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        data = cv2.imencode(".jpg", noise)[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
        return "truncated or damaged"
    if how == "1x1":
        cv2.imwrite(str(path), np.zeros((1, 1, 3), np.uint8))
        return "too small (1x1"
    if how == "20000x20000":
        path.write_bytes(png_header(20_000, 20_000))
        return "too large (20000x20000"
    path.symlink_to(path.with_name("gone.jpg"))
    return "does not exist"


@pytest.mark.parametrize("how", ["zero bytes", "text", "truncated", "1x1", "20000x20000", "dangling link"])
def test_broken_picture_is_named_and_the_rest_goes_on(red, photos, out, how):
    broken = photos / "2b.jpg"
    word = spoil(broken, how)
    assert_sentence(run(red, out, photos), 1, "failed: ", broken, word)
    coco = coco_of(out)
    assert len(coco["images"]) == 3
    assert [each["file_name"] for each in coco["info"]["failures"]] == ["2b.jpg"]
    assert not list(out.rglob("2b*"))
    assert_whole(out)


def test_a_picture_that_broke_since_loses_its_old_results(red, photos, out):
    assert run(red, out, photos).exit_code == 0
    (photos / "2.png").write_bytes(b"")
    assert run(red, out, photos).exit_code == 1
    assert not list(out.rglob("2.*"))
    assert len(coco_of(out)["images"]) == 2


@pytest.mark.parametrize(
    ("what", "word"),
    [("missing.jpg", "does not exist"), ("empty", "holds no picture"), ("*.tiff", "matches no picture")],
)
def test_nothing_to_predict(red, tmp_path, out, what, word):
    (tmp_path / "empty").mkdir()
    assert_sentence(run(red, out, tmp_path / what), 2, what, word)
    assert not out.exists()


def test_a_name_too_long_for_any_file_system(red, out):
    assert_sentence(run(red, out, "x" * 5000 + ".jpg"), 2, "does not exist")


def test_out_is_a_file(red, photos, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert_sentence(run(red, taken, photos), 2, taken, "is a file")
    assert taken.read_text() == "mine"


def test_ignores_what_a_mask_covers(red, photos, out, tmp_path):
    mask, covered = tmp_path / "own_car.png", np.zeros((HEIGHT, WIDTH), np.uint8)
    for columns, found in ((0, 3), (45, 3), (80, 0)):
        covered[:, :columns] = 255
        cv2.imwrite(str(mask), covered)
        run(red, out, photos, "--ignore-mask", mask)
        objects = coco_of(out)["annotations"]
        assert len(objects) == found
        assert all(each["bbox"][0] >= columns for each in objects)
    cv2.imwrite(str(mask), np.full_like(covered, 255))
    result = run(red, out, photos, "--ignore-mask", mask)
    assert_sentence(result, 2, "own_car.png", "white all over")


def save_scores(folder, name, how):
    folder.mkdir(exist_ok=True)
    scores = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    scores[30:50, 20:40] += 100
    if how == "wrong size":
        scores = scores[:, : WIDTH // 2]
    elif how == "nan":
        scores[0, :5] = np.nan
    elif how == "infinite":
        scores[0, :5] = -np.inf
    elif how == "all nan":
        scores[:] = np.nan
    elif how == "constant":
        scores[:] = 3
    elif how == "text":
        scores = np.full((HEIGHT, WIDTH), "x")
    np.save(folder / f"{name}.npy", scores)


def test_score_maps_in_place_of_the_detector(red, tmp_path, out):
    """The object is where the scores are high, not where the picture is red."""
    for name in ("a", "b"):
        save_street(tmp_path / "photos" / f"{name}.png", (90, 0, 120, 20))
        save_scores(tmp_path / "scores", name, "")
    result = run(red, out, tmp_path / "photos", "--score-map", tmp_path / "scores")
    assert result.exit_code == 0, result.output
    assert [each["bbox"] for each in coco_of(out)["annotations"]] == [[20, 30, 20, 20]] * 2


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("wrong size", "64x96 pixels but its picture is 128x96"),
        ("all nan", "no finite value"),
        ("constant", "is 3 everywhere"),
        ("text", "instead of numbers"),
    ],
)
def test_bad_score_map_is_named_and_the_rest_goes_on(red, photos, tmp_path, out, how, word):
    scores = tmp_path / "scores"
    for name in "123":
        save_scores(scores, name, how if name == "2" else "")
    assert_sentence(run(red, out, photos, "--score-map", scores), 1, scores / "2.npy", word)
    assert len(coco_of(out)["images"]) == 2
    assert_whole(out)


@pytest.mark.parametrize("how", ["nan", "infinite"])
def test_mended_score_map_warns(red, photos, tmp_path, out, how):
    scores = tmp_path / "scores"
    for name in "123":
        save_scores(scores, name, how if name == "2" else "")
    result = run(red, out, photos, "--score-map", scores)
    assert_sentence(result, 0, "note: ", scores / "2.npy", "5 of 12288 scores")
    assert len(coco_of(out)["annotations"]) == 3


def test_score_map_missing_folder_and_missing_map(red, photos, tmp_path, out):
    assert_sentence(run(red, out, photos, "--score-map", tmp_path / "none"), 2, "none", "does not exist")
    save_scores(tmp_path / "scores", "1", "")
    result = run(red, out, photos, "--score-map", tmp_path / "scores")
    assert_sentence(result, 1, "holds no score map named '2'", "holds no score map named '3'")


def test_score_maps_of_several_folders_are_not_mixed_up(red, tmp_path, out):
    for town in ("bern", "ulm"):
        save_street(tmp_path / "photos" / town / "1.png")
    save_scores(tmp_path / "scores", "1", "")
    result = run(red, out, tmp_path / "photos", "--score-map", tmp_path / "scores")
    assert_sentence(result, 1, "'bern/1'", "'ulm/1'")


def test_a_changed_score_map_is_read_again(red, photos, tmp_path, out, monkeypatch):
    scores = tmp_path / "scores"
    for name in "123":
        save_scores(scores, name, "")
    assert run(red, out, photos, "--score-map", scores).exit_code == 0
    calls = count_calls(monkeypatch)
    os.utime(scores / "2.npy", ns=(1, 1))
    assert run(red, out, photos, "--score-map", scores).exit_code == 0
    assert len(calls) == 1


def test_corrupt_weight_file(red, photos, out):
    weights = red / "detector.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2])
    assert_sentence(run(red, out, photos), 2, weights)
    assert not out.exists()


def test_weight_file_missing(red, photos, out):
    (red / "detector.safetensors").unlink()
    assert_sentence(run(red, out, photos), 2, red / "detector.safetensors", "cannot be read")


def test_pipeline_of_another_version(red, photos, out):
    config = json.loads((red / "config.json").read_text())
    (red / "config.json").write_text(json.dumps({**config, "format": 99}))
    assert_sentence(run(red, out, photos), 2, "format 99", red / "config.json")


@pytest.mark.parametrize("option", ["--detector", "--prompts", "--masks"])
def test_unknown_part(red, photos, out, option):
    assert_sentence(run(red, out, photos, option, "nonsense"), 2, "'nonsense'", "choose one of")


def test_unknown_pipeline(photos, out):
    assert_sentence(run("nowhere", out, photos), 2, "nowhere", "does not exist")


def test_no_gpu(red, photos, out, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_sentence(run(red, out, photos, "--device", "cuda"), 2, "no CUDA device", "--device cpu")


def test_name_that_is_no_utf8(red, tmp_path, out):
    try:
        save_street(tmp_path / "photos" / os.fsdecode(b"stra\xdfe.png"), BOX)
        (tmp_path / "photos" / os.fsdecode(b"\xdf.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert_sentence(run(red, out, tmp_path / "photos"), 1, "is empty")
    assert os.fsencode(coco_of(out)["images"][0]["file_name"]) == b"stra\xdfe.png"
