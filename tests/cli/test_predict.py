import json
import os

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.pipeline import S2M
from redness import HEIGHT, WIDTH, save_street
from run_helpers import BOX, assert_sentence, coco_of, count_calls, save_photos


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path / "photos")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(red, out, *arguments):
    arguments = [str(each) for each in arguments]
    return CliRunner().invoke(
        app, ["predict", *arguments, "--out", str(out), "--pipeline", str(red)], env={"COLUMNS": "250"}
    )


def test_all_options_reach_the_run(red, photos, out, tmp_path):
    np.save(tmp_path / "1.npy", np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)))
    mask = tmp_path / "own_car.png"
    cv2.imwrite(str(mask), np.eye(HEIGHT, WIDTH, dtype=np.uint8))
    options = [
        "--confidence-format",
        "npy",
        "--overlay-format",
        "png",
        "--save-crops",
        "--only-hits",
        "--score-map",
        tmp_path,
        "--ignore-mask",
        mask,
    ]
    options += [
        "--save-scores",
        "npy",
        "--score-stats",
        "0.5,2",
        "--min-confidence",
        "0.2",
        "--min-area",
        "9",
        "--max-objects",
        "2",
    ]
    result = run(red, out, photos / "1.png", *options, "--masks", "grabcut", "--threads", "1")
    assert result.exit_code == 0, result.output
    info = coco_of(out)["info"]
    settings = info["settings"]
    kinds = {"masks": ".png", "confidence": ".npy", "overlays": ".png", "scores": ".npy", "crops": ".jpg"}
    assert info["files"] == kinds | {"thumbnails": ".jpg"}
    assert settings["masks"] == "grabcut"
    assert settings["limits"] == {"min_confidence": 0.2, "min_area": 9, "max_objects": 2}
    assert settings["scores"] == {"folder": str(tmp_path), "mean": 0.5, "std": 2.0}
    assert len(settings["ignore_sha256"]) == 64
    assert not (out / "confidence").exists(), "nothing was found"


def test_summary_counts(red, photos, out):
    save_street(photos / "4.png")
    text = run(red, out, photos).output
    counts = {
        line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in text.splitlines() if line.strip()
    }
    assert counts["images"] == "4"
    assert counts["with unknown objects"] == "3"
    assert counts["unknown objects"] == "3"
    assert float(counts["median seconds per image"]) >= 0


def test_a_second_run_does_nothing_unless_told(red, photos, out, monkeypatch):
    assert run(red, out, photos).exit_code == 0
    calls = count_calls(monkeypatch)
    assert "done before" in run(red, out, photos).output
    assert calls == []
    assert run(red, out, photos, "--overwrite").exit_code == 0
    assert len(calls) == 3


def test_ctrl_c_is_one_sentence(red, photos, out, monkeypatch):
    def stopping(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(S2M, "__call__", stopping)
    assert_sentence(run(red, out, photos), 130, "interrupted after 0 of 3 images", "same command again")


def test_broken_image_is_named_and_the_rest_goes_on(red, photos, out):
    (photos / "2b.jpg").write_bytes(b"")
    assert_sentence(run(red, out, photos), 1, "failed: ", photos / "2b.jpg", "is empty")
    assert len(coco_of(out)["images"]) == 3


@pytest.mark.parametrize(
    ("what", "word"),
    [("missing.jpg", "does not exist"), ("empty", "holds no image"), ("*.tiff", "matches no image")],
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


def test_a_mask_that_covers_everything(red, photos, out, tmp_path):
    mask = tmp_path / "own_car.png"
    cv2.imwrite(str(mask), np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert_sentence(run(red, out, photos, "--ignore-mask", mask), 2, "own_car.png", "white all over")


def test_mended_score_map_is_noted(red, photos, tmp_path, out):
    scores = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH))
    scores[0, :5] = np.nan
    np.save(tmp_path / "1.npy", scores)
    result = run(red, out, photos / "1.png", "--score-map", tmp_path)
    assert_sentence(result, 0, "note: ", tmp_path / "1.npy", "5 of 12288 scores")


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--score-stats", "0,1"], "--score-stats goes with the scores of --score-map"),
        (["--score-map", ".", "--detector", "street"], "--detector would not be used"),
        (["--score-map", ".", "--batch", "2"], "--batch is for the detector"),
        (["--no-overlay", "--overlay-format", "png"], "--overlay-format says nothing"),
        (["--device", "gpu"], "there is no device 'gpu': choose auto, cpu, cuda"),
        (["--device", "7"], "use --device cpu or --device auto"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(red, photos, out, monkeypatch, options, words):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_sentence(run(red, out, photos, *options), 2, words)
    assert not out.exists()


def test_size_and_batch_reach_the_run(red, photos, out, monkeypatch):
    seen = []
    look_at = S2M.look_at

    def watched(self, images):
        found = look_at(self, images)
        seen.append([tuple(each.scores.shape) for each in found])
        return found

    monkeypatch.setattr(S2M, "look_at", watched)
    (photos / "4.png").write_bytes(b"")
    (photos / "5.png").write_bytes((photos / "1.png").read_bytes())
    options = ["--size", "64", "--batch", "2", "--save-scores", "npy", "--precision", "full"]
    assert_sentence(run(red, out, photos, *options), 1, "4.png is empty")
    assert seen == [[(1, 48, 64)] * 2, [(1, 48, 64)], [(1, 48, 64)]]
    found = coco_of(out)
    assert [each["file_name"] for each in found["images"]] == ["1.png", "2.png", "3.png", "5.png"]
    assert len(found["annotations"]) == 4
    settings = found["info"]["settings"]
    assert (settings["working_side"], settings["precision"]) == ([64, 64], "full")
    assert np.load(out / "scores" / "1.npy").shape == (48, 64)
    again = run(red, out, photos, *options)
    assert_sentence(again, 1, "done before")
    assert len(seen) == 3
    assert_sentence(run(red, out, photos, "--size", "96"), 2, "holds results of other settings")


def test_name_that_is_no_utf8(red, tmp_path, out):
    try:
        save_street(tmp_path / "photos" / os.fsdecode(b"stra\xdfe.png"), BOX)
        (tmp_path / "photos" / os.fsdecode(b"\xdf.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert_sentence(run(red, out, tmp_path / "photos"), 1, "is empty")
    assert os.fsencode(coco_of(out)["images"][0]["file_name"]) == b"stra\xdfe.png"


def test_two_words_for_one_thing_are_refused(red, photos, out):
    options = ["--operating-point", "thorough", "--min-confidence", "0.2"]
    assert_sentence(run(red, out, photos, *options), 2, "in place of an operating point: give one of them")


def test_without_overlays(red, photos, out):
    assert_sentence(run(red, out, photos, "--no-overlay"), 0, "to look through", out / "index.html")
    assert not (out / "overlays").exists()


def test_paths_from_standard_input(red, photos, out):
    listed = f"{photos / '1.png'}\n{photos / '3.png'}\n"
    arguments = ["predict", "-", "--out", str(out), "--pipeline", str(red)]
    assert CliRunner().invoke(app, arguments, input=listed).exit_code == 0
    assert [each["file_name"] for each in coco_of(out)["images"]] == ["1.png", "3.png"]
