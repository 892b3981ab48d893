import json

import pytest

import failure_fakes
import tiny_segmenter
from failure_fakes import RedIsWrong, run, save_image
from run_helpers import assert_sentence

REDS = {"calm": 4, "half red": 32, "red #1": 60, "some": 16}
WORST_FIRST = ["red #1.png", "half red.png", "some.png", "calm.png"]


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    failure_fakes.register(monkeypatch)
    tiny_segmenter.register(monkeypatch)


@pytest.fixture
def photos(tmp_path):
    for name, red in REDS.items():
        save_image(tmp_path / "photos" / f"{name}.png", red)
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_the_worst_are_printed_first(photos, out):
    result = run(out, photos)
    assert_sentence(result, 0, "median estimated mean IoU", out / "index.html")
    lines = result.output.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("  0.")] == WORST_FIRST
    assert "done before" in run(out, photos).output


def test_all_options_reach_the_run(photos, out, monkeypatch):
    options = ["--segmenter", "tiny", "--error-format", "npy", "--overwrite"]
    assert_sentence(run(out, photos / "some.png", *options, detector=None), 0)
    assert "done before" not in run(out, photos / "some.png", *options, detector=None).output
    info = json.loads((out / "failures.json").read_text())["info"]
    assert (info["settings"]["detector"], info["settings"]["segmenter"]) == ("msp", "tiny")
    assert info["files"]["error"] == ".npy"
    assert "figures of 'msp' are not calibrated" in " ".join(info["notes"])
    assert "not calibrated" in (out / "index.html").read_text()


def test_a_second_opinion_changes_the_errors_and_not_the_qualities(photos, out, tmp_path):
    def found():
        listed = json.loads((out / "failures.json").read_text())
        asked = listed["info"]["settings"].get("second_opinions")
        return asked, [each["estimated_mean_iou"] for each in listed["images"]]

    other = tmp_path / "other.yaml"
    other.write_text("name: tiny\nseed: 3\n")
    assert_sentence(run(out, photos, "--segmenter", "tiny", detector=None), 0)
    nobody, qualities = found()
    assert nobody is None
    errors = (out / "error" / "some.png").read_bytes()
    asked = ["--segmenter", "tiny", "--second-opinion", other]
    assert_sentence(run(out, photos, *asked, detector=None), 2, "other settings")
    assert_sentence(run(out, photos, *asked, "--overwrite", detector=None), 0)
    assert found() == ([str(other)], qualities)
    assert (out / "error" / "some.png").read_bytes() != errors
    assert "done before" in run(out, photos, *asked, detector=None).output


def test_a_broken_image_is_named_and_the_rest_goes_on(photos, out):
    (photos / "broken <1>.png").write_bytes(b"no image")
    result = run(out, photos)
    assert_sentence(result, 1, "failed: ", photos / "broken <1>.png", "is not an image")
    assert len(json.loads((out / "failures.json").read_text())["images"]) == 4


def test_ctrl_c_is_one_sentence(photos, out, monkeypatch):
    def stopping(self, image, labels=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(RedIsWrong, "assess", stopping)
    assert_sentence(run(out, photos), 130, "interrupted after 0 of 4 images", "same command again")


@pytest.mark.parametrize(
    ("arguments", "detector", "words"),
    [
        ([], "nonsense", "the failure detector nonsense does not exist"),
        (["none.png"], "red_is_wrong", "none.png does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(photos, out, arguments, detector, words):
    assert_sentence(run(out, photos, *arguments, detector=detector), 2, words)


def test_a_scan_is_shown_the_way(tmp_path, out):
    (tmp_path / "scan.nii.gz").write_bytes(b"x")
    assert_sentence(run(out, tmp_path / "scan.nii.gz"), 2, "oodseg volumes")
