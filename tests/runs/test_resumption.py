"""Runs that are broken off, and runs that find work done."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import oodseg.runs
from oodseg.core.errors import OodsegError
from oodseg.pipeline import S2M
from redness import save_street
from run_helpers import assert_whole, coco_of, count_calls, save_photos

TESTS = Path(__file__).parent.parent


@pytest.fixture
def photos(tmp_path):
    return save_photos(tmp_path / "photos")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_second_run_does_nothing_again(red, photos, out, monkeypatch):
    oodseg.runs.predict(photos, red, out)
    first = (out / "predictions.json").read_bytes()
    calls = count_calls(monkeypatch)
    run = oodseg.runs.predict(photos, red, out)
    assert calls == []
    assert (run.done_before, run.objects, run.milliseconds) == (3, 3, [])
    assert (out / "predictions.json").read_bytes() == first


def test_lists_are_written_again_only_where_they_would_differ(red, photos, out):
    oodseg.runs.predict(photos, red, out)
    page = out / "index.html"
    page.write_text("as it was")
    oodseg.runs.predict(photos, red, out)
    assert page.read_text() == "as it was"
    page.unlink()
    oodseg.runs.predict(photos, red, out)
    assert "<html" in page.read_text()
    (photos / "1.png").write_bytes(b"")
    oodseg.runs.predict(photos, red, out)
    assert "1.png" in (out / "predictions.json").read_text()
    page.write_text("as it was")
    (photos / "1.png").unlink()
    oodseg.runs.predict(photos, red, out)
    assert page.read_text() != "as it was"


@pytest.mark.parametrize("change", ["fresh", "image", "output", "record", "format"])
def test_what_changed_is_done_again(red, photos, out, monkeypatch, change):
    oodseg.runs.predict(photos, red, out)
    options, expected = {}, 1
    if change == "fresh":
        options, expected = {"fresh": True}, 3
    elif change == "format":
        options, expected = {"confidence_format": "npy"}, 3
    elif change == "image":
        save_street(photos / "2.png", (0, 0, 30, 30))
        os.utime(photos / "2.png", ns=(1, 1))
    elif change == "output":
        (out / "masks" / "3.png").unlink()
    else:
        (out / "records" / "1.json").write_text("{")
    calls = count_calls(monkeypatch)
    oodseg.runs.predict(photos, red, out, **options)
    assert len(calls) == expected
    assert len(coco_of(out)["images"]) == 3


@pytest.mark.parametrize("data", [b"", b"no image", None])
@pytest.mark.parametrize("fresh", [False, True])
def test_an_image_that_broke_since_keeps_its_results(red, photos, out, data, fresh):
    oodseg.runs.predict(photos, red, out)
    before = {path: path.read_bytes() for path in out.rglob("2.*")}
    broken = photos / "2.png"
    broken.write_bytes(broken.read_bytes()[:60] if data is None else data)
    run = oodseg.runs.predict(photos, red, out, fresh=fresh)
    assert list(run.failures) == ["2.png"]
    assert run.failures["2.png"].endswith("(what an earlier run has found there is kept)")
    assert before
    assert {path: path.read_bytes() for path in out.rglob("2.*")} == before
    assert len(coco_of(out)["images"]) == 3
    assert coco_of(out)["info"]["failures"][0]["file_name"] == "2.png"
    save_street(broken, (0, 0, 30, 30))
    assert oodseg.runs.predict(photos, red, out).done_before == 2
    assert (out / "masks" / "2.png").read_bytes() != before[out / "masks" / "2.png"]


def test_an_image_that_is_gone_keeps_its_results(red, photos, out):
    """A disk that is not there for a while must not take the results of all its images along."""
    (photos / "list.txt").write_text("".join(f"{photos}/{number}.png\n" for number in (1, 2, 3)))
    oodseg.runs.predict(photos / "list.txt", red, out)
    images = {path: path.read_bytes() for path in photos.glob("[23].png")}
    for path in images:
        path.unlink()
    run = oodseg.runs.predict(photos / "list.txt", red, out)
    assert (run.with_objects, list(run.failures)) == (1, ["2.png", "3.png"])
    assert run.failures["2.png"].endswith("(what an earlier run has found there is kept)")
    assert len(coco_of(out)["images"]) == 3
    for path, data in images.items():
        path.write_bytes(data)
    assert not oodseg.runs.predict(photos / "list.txt", red, out).failures
    assert_whole(out)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"2.png"', '"other.png"'),
        lambda text: text.replace('"id": 2,', '"id": 1,'),
        lambda text: text.replace('"id": 2,', '"id": Infinity,'),
        lambda text: "[" * 100_000,
        lambda text: "[]",
    ],
)
def test_a_list_that_was_edited_is_written_again(red, photos, out, spoil):
    oodseg.runs.predict(photos, red, out)
    before = (out / "predictions.json").read_text()
    assert spoil(before) != before
    (out / "predictions.json").write_text(spoil(before))
    assert oodseg.runs.predict(photos, red, out).done_before == 3
    images = coco_of(out)["images"]
    assert sorted(each["file_name"] for each in images) == ["1.png", "2.png", "3.png"]
    assert len({each["id"] for each in images}) == 3


def test_ctrl_c_half_way_keeps_whole_files_and_resumes(red, photos, out, monkeypatch):
    calls = count_calls(monkeypatch)
    counted = S2M.__call__

    def stopping(self, *args, **kwargs):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(S2M, "__call__", stopping)
        with pytest.raises(KeyboardInterrupt, match=r"interrupted after 2 of 3 images.*same command again"):
            oodseg.runs.predict(photos, red, out)
    assert_whole(out)
    assert [each["file_name"] for each in coco_of(out)["images"]] == ["1.png", "2.png"]
    assert coco_of(out)["info"]["complete"] is False
    calls.clear()
    oodseg.runs.predict(photos, red, out)
    assert len(calls) == 1
    assert coco_of(out)["info"]["complete"] is True
    assert len(coco_of(out)["images"]) == 3


@pytest.mark.parametrize("after", [1, 2, 3, 6, 7, 8, 12, 13])
def test_ctrl_c_within_writing_leaves_no_half_file(red, photos, out, monkeypatch, after):
    real, calls = os.fsync, []

    def stopping(descriptor):
        calls.append(descriptor)
        if len(calls) == after:
            raise KeyboardInterrupt
        real(descriptor)

    monkeypatch.setattr("oodseg.core.files.os.fsync", stopping)
    # What the folder is for; two images of five files each, after each the list; then all lists.
    done = sum(after > each for each in (6, 12))
    with pytest.raises(
        KeyboardInterrupt, match=f"interrupted after {done} of 2 images" if after > 1 else None
    ):
        oodseg.runs.predict([photos / "1.png", photos / "2.png"], red, out)
    assert_whole(out)
    if after > 1:
        assert len(coco_of(out)["images"]) == done


@pytest.mark.parametrize("after", [1, 2, 7, 8, 20])
def test_full_disk_is_one_sentence_and_no_half_file(red, photos, out, monkeypatch, after):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("oodseg.core.files.os.fsync", full)
        with pytest.raises(OodsegError, match=r"the disk is full: .*free some space"):
            oodseg.runs.predict(photos, red, out)
    assert_whole(out)
    oodseg.runs.predict(photos, red, out)
    assert len(coco_of(out)["images"]) == 3


SLOW_RUN = """
import sys, time
from pathlib import Path
import oodseg.runs
from oodseg.pipeline import S2M
from redness import make_pipeline

s2m = make_pipeline()
fast = S2M.__call__

def slow(self, *args, **kwargs):
    if len(list(Path(sys.argv[2]).glob("records/*.json"))) == 3:
        Path(sys.argv[3]).write_text("in the midst of the fourth image")
        time.sleep(600)
    return fast(self, *args, **kwargs)

S2M.__call__ = slow
oodseg.runs.predict(sys.argv[1], s2m, sys.argv[2])
"""


def test_a_killed_process_is_taken_up_where_it_was(tmp_path, out, monkeypatch):
    """SIGKILL lets nobody tidy up: what was written must do as it lies there."""
    from redness import make_pipeline

    photos = save_photos(tmp_path / "photos", 5)
    stopped = tmp_path / "stopped"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(photos), str(out), str(stopped)], env=environment
    )
    try:
        while not stopped.exists():
            assert process.poll() is None, "it ended before it was in the midst of it"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert_whole(out)
    before = coco_of(out)
    assert [each["file_name"] for each in before["images"]] == ["1.png", "2.png", "3.png"], "all that is done"
    assert len(before["annotations"]) == 3
    assert before["info"]["complete"] is False
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(written) == 3 * 2
    calls = count_calls(monkeypatch)
    run = oodseg.runs.predict(photos, make_pipeline(), out)
    assert (run.done_before, len(calls), run.objects) == (3, 2, 5)
    assert all(path.stat().st_mtime_ns == at for path, at in written.items()), "left as they were"
    assert coco_of(out)["info"]["complete"] is True
    assert coco_of(out)["images"][:3] == before["images"]
    assert_whole(out)
