"""Videos from the file to the drawn one: what is found, what is written, and what is done again."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from pycocotools.coco import COCO

import oodseg.runs
import oodseg.runs.segments
from oodseg.core.errors import ConfigError, OodsegError, VideoError
from oodseg.core.input_warnings import InputWarning
from oodseg.core.prediction import Prediction
from redness import make_pipeline, save_street, street
from run_helpers import count_calls
from video_files import RATE, box_at, images, noise, save_video, times_of

TESTS = Path(__file__).parent.parent


@pytest.fixture
def short(monkeypatch):
    """Segments of four frames."""
    monkeypatch.setattr(oodseg.runs.segments, "LENGTH", 4)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def drive(tmp_path):
    """Ten frames of a box that moves to the right; one does not show it."""
    return save_video(tmp_path / "drive.mp4", images(10, hidden=(5,)))


def document(out):
    return json.loads((out / "tracks.json").read_text())


def rows(out):
    return list(csv.DictReader((out / "tracks.csv").open()))


def bounds(annotation):
    x, y, width, height = annotation["bbox"]
    return x, y, x + width, y + height


def test_one_object_has_one_identity_over_a_gap(drive, out):
    run = oodseg.runs.predict_video(drive, make_pipeline(), out)
    assert (run.frames, len(run.tracks), run.unconfirmed, run.notes) == (10, 1, 0, [])
    assert [path.name for path in run.files] == ["tracks.mp4", "tracks.json", "tracks.csv"]
    found = document(out)
    assert [each["instance_id"] for each in found["annotations"]] == [1] * 10
    for number, annotation in enumerate(found["annotations"]):
        assert bounds(annotation) == pytest.approx(box_at(number), abs=2)
        assert (annotation["frame_score"] is None) == (number == 5)
    scores = [each["score"] for each in found["annotations"]]
    assert scores == sorted(scores)
    (row,) = rows(out)
    assert (row["first_frame"], row["last_frame"], row["seconds"], row["frames_found"]) == (
        "0",
        "9",
        "0.9",
        "9",
    )
    assert float(row["peak_confidence"]) == pytest.approx(
        max(each["frame_score"] or 0 for each in found["annotations"]), abs=1e-6
    )
    assert int(row["largest_area"]) == max(each["area"] for each in found["annotations"])
    assert abs(int(row["largest_width"]) - 24) <= 2


def test_the_document_is_coco_with_videos(drive, out):
    oodseg.runs.predict_video(drive, make_pipeline(), out)
    coco = COCO(str(out / "tracks.json"))
    assert [coco.imgs[number]["frame_id"] for number in coco.getImgIds()] == list(range(10))
    assert [coco.imgs[number]["second"] for number in coco.getImgIds()] == [
        number / 10 for number in range(10)
    ]
    assert coco.imgs[1]["file_name"] == "drive/000000.png"
    for number in coco.getAnnIds():
        assert coco.annToMask(coco.anns[number]).sum() == coco.anns[number]["area"]
    (video,) = document(out)["videos"]
    assert (video["name"], video["width"], video["height"], video["length"]) == ("drive.mp4", 128, 96, 10)
    (track,) = document(out)["tracks"]
    assert (track["id"], track["video_id"], track["frames_found"]) == (1, 1, 9)


def test_a_lone_box_is_in_the_data_and_not_in_the_video(tmp_path, out):
    frames = images(6)
    frames[2] = street(box_at(2), (90, 60, 110, 80))
    run = oodseg.runs.predict_video(save_video(tmp_path / "a.mp4", frames), make_pipeline(), out)
    assert (len(run.tracks), run.unconfirmed) == (1, 1)
    (lone,) = document(out)["unconfirmed"]
    assert bounds(lone) == pytest.approx((90, 60, 110, 80), abs=2)
    assert (lone["image_id"], "instance_id" in lone) == (3, False)
    with av.open(str(out / "tracks.mp4")) as container:
        drawn = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    beside = np.s_[56:84, 86:114]
    assert np.abs(drawn[2][beside] - frames[2][beside]).mean() < 8  # as it was


def test_the_drawn_video_has_every_frame_at_its_time(tmp_path, out, short):
    times = [0.0, 0.03, 0.1, 0.4, 0.41, 0.8, 0.9, 1.0, 1.2]
    drive = save_video(tmp_path / "drive.mkv", images(9), times=times)
    oodseg.runs.predict_video(drive, make_pipeline(), out)
    assert times_of(out / "tracks.mp4") == pytest.approx(times, abs=1e-3)
    with av.open(str(out / "tracks.mp4")) as container:
        assert [each.type for each in container.streams] == ["video"]
        drawn = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    x0, y0, x1, _ = box_at(0)
    contour = drawn[y0 - 3 : y0 + 1, x0:x1]
    assert np.abs(contour - images(1)[0][y0 - 3 : y0 + 1, x0:x1]).max() > 80, "outlined"


def test_images_are_frames_when_their_rate_is_given(tmp_path, out):
    for number in range(5):
        save_street(tmp_path / "frames" / f"{number}.png", box_at(number))
    oodseg.runs.predict_video(tmp_path / "frames", make_pipeline(), out, fps=4)
    found = document(out)
    assert [each["file_name"] for each in found["images"]] == [f"{number}.png" for number in range(5)]
    assert [each["second"] for each in found["images"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len(found["tracks"]) == 1


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"every": 3}, [0, 3, 6, 9]),
        ({"start": 0.25, "end": 0.7}, [3, 4, 5, 6]),
        ({"every": 2, "start": 0.5}, [5, 7, 9]),
    ],
)
def test_cuts(drive, out, options, numbers):
    oodseg.runs.predict_video(drive, make_pipeline(), out, **options)
    assert [round(RATE * each["second"]) for each in document(out)["images"]] == numbers
    assert times_of(out / "tracks.mp4") == pytest.approx(
        [(each - numbers[0]) / RATE for each in numbers], abs=1e-3
    )


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"start": 100}, r"drive.mp4 has no frame from 100 s on: begin earlier"),
        (
            {"start": 0.41, "end": 0.49},
            r"drive.mp4 has no frame between 0.41 s and 0.49 s: choose other times",
        ),
    ],
)
def test_a_cut_without_frames_is_one_sentence_and_leaves_nothing(drive, out, times, words):
    with pytest.raises(VideoError, match=words):
        oodseg.runs.predict_video(drive, make_pipeline(), out / "1", **times)
    assert not out.exists()


def test_a_refused_run_leaves_an_empty_folder_empty(drive, out):
    out.mkdir()
    with pytest.raises(VideoError, match="begin earlier"):
        oodseg.runs.predict_video(drive, make_pipeline(), out, start=100)
    assert list(out.iterdir()) == []
    assert oodseg.runs.predict_video(drive, make_pipeline(), out).frames == 10


def test_whole_segments_stay_where_a_video_cannot_be_read_to_its_end(tmp_path, out, short):
    drive, s2m = save_video(tmp_path / "drive.mp4", images(30)), make_pipeline()
    first = out / "segments" / "000000.json"

    def stumbling(image, **options):
        if first.is_file():
            raise VideoError("drive.mp4 broke")
        return s2m(image, **options)

    with pytest.raises(VideoError, match="broke"):
        oodseg.runs.predict_video(drive, stumbling, out, settings={"name": "red"})
    assert (out / "run.json").is_file()
    assert first.is_file()
    run = oodseg.runs.predict_video(drive, s2m, out, settings={"name": "red"})
    assert (run.frames, run.done_before >= 4) == (30, True)


def test_truncated_videos_give_what_they_hold_and_say_so(tmp_path, out):
    path = save_video(tmp_path / "a.mkv", noise(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.warns(InputWarning, match="truncated"):
        run = oodseg.runs.predict_video(path, make_pipeline(), out)
    assert 0 < run.frames < 40
    assert any("truncated" in warning for warning in document(out)["info"]["warnings"])


def test_a_second_run_does_nothing_again(drive, out, short, monkeypatch):
    oodseg.runs.predict_video(drive, make_pipeline(), out)
    first = {path.name: path.read_bytes() for path in out.glob("tracks.*")}
    calls = count_calls(monkeypatch)
    run = oodseg.runs.predict_video(drive, make_pipeline(), out)
    assert (calls, run.done_before, run.frames, len(run.tracks)) == ([], 10, 10, 1)
    assert {path.name: path.read_bytes() for path in out.glob("tracks.*")} == first


@pytest.mark.parametrize("change", ["fresh", "segment"])
def test_what_changed_is_done_again(drive, out, short, monkeypatch, change):
    oodseg.runs.predict_video(drive, make_pipeline(), out)
    if change == "segment":
        (out / "segments" / "000001.mp4").unlink()
    calls = count_calls(monkeypatch)
    oodseg.runs.predict_video(drive, make_pipeline(), out, fresh=change == "fresh")
    assert len(calls) == {"fresh": 10, "segment": 6}[change]
    assert len(document(out)["images"]) == 10


@pytest.mark.parametrize("change", ["every", "video", "pipeline", "images"])
def test_other_results_are_refused_and_may_go(drive, out, monkeypatch, change):
    oodseg.runs.predict_video(drive, make_pipeline(), out)
    options, s2m = {"every": 2} if change == "every" else {}, make_pipeline()
    if change == "video":
        os.utime(drive, ns=(1, 1))
    elif change == "pipeline":
        s2m.working_side = (64, 64)
    elif change == "images":
        with pytest.raises(ConfigError, match=r"holds results of other settings .*--overwrite"):
            oodseg.runs.predict(save_street(out.parent / "1.png"), s2m, out)
        return
    with pytest.raises(ConfigError, match=r"holds results of other settings .*--overwrite"):
        oodseg.runs.predict_video(drive, s2m, out, **options)
    oodseg.runs.predict_video(drive, s2m, out, fresh=True, **options)
    assert len(document(out)["images"]) == (5 if change == "every" else 10)


def test_without_a_folder_other_results_stay(drive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for every, folder in ((1, "oodseg-results"), (2, "oodseg-results/2")):
        run = oodseg.runs.predict_video(drive, make_pipeline(), every=every)
        assert [path.parent.as_posix() for path in run.files] == [folder] * 3


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_a_video_that_was_broken_off_comes_out_the_same(drive, out, tmp_path, short, monkeypatch, stop):
    whole = tmp_path / "whole"
    oodseg.runs.predict_video(drive, make_pipeline(), whole)
    s2m, asked = make_pipeline(), []

    def stopping(image):
        asked.append(image)
        if len(asked) == stop:
            raise KeyboardInterrupt
        return s2m(image)

    # Frames are decided two later here, so that segments are written before the end.
    monkeypatch.setattr("oodseg.tracking.tracker.MEMORY", 0.0)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted after \d+ frames, .*same command again"):
        oodseg.runs.predict_video(drive, stopping, out, settings={"pipeline": "red"})
    assert not (out / "tracks.json").exists()
    asked.clear()
    stop = 0
    run = oodseg.runs.predict_video(drive, stopping, out, settings={"pipeline": "red"})
    assert run.done_before + len(asked) == 10
    again = document(out)
    assert times_of(out / "tracks.mp4") == times_of(whole / "tracks.mp4")
    assert [each["second"] for each in again["images"]] == [
        each["second"] for each in document(whole)["images"]
    ]
    assert [each["bbox"] for each in again["annotations"]] == [
        each["bbox"] for each in document(whole)["annotations"]
    ]


SLOW_RUN = """
import sys, time
from pathlib import Path
import oodseg.runs, oodseg.runs.segments
from redness import make_pipeline

oodseg.runs.segments.LENGTH = 10
s2m = make_pipeline()

def slow(image):
    if len(list(Path(sys.argv[2]).glob("segments/*.json"))) == 2:
        Path(sys.argv[3]).write_text("in the midst of a segment")
        time.sleep(600)
    return s2m(image)

oodseg.runs.predict_video(sys.argv[1], slow, sys.argv[2], settings={"pipeline": "red"})
"""


def test_a_killed_process_is_taken_up_where_it_was(tmp_path, out, monkeypatch):
    """SIGKILL lets nobody tidy up; no frame comes twice, none is missing."""
    hidden = (7, 8, 9, 10, 18, 19, 20, 21)  # across the borders of segments
    drive = save_video(tmp_path / "drive.mp4", images(45, hidden=hidden))
    stopped = tmp_path / "stopped"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(drive), str(out), str(stopped)], env=environment
    )
    try:
        while not stopped.exists():
            assert process.poll() is None, "it ended before it was in the midst of it"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("segments/*.mp4")}
    assert len(kept) >= 2
    assert not (out / "tracks.mp4").exists()
    monkeypatch.setattr(oodseg.runs.segments, "LENGTH", 10)
    run = oodseg.runs.predict_video(drive, make_pipeline(), out, settings={"pipeline": "red"})
    assert (run.done_before, run.frames) == (20, 45)
    assert times_of(out / "tracks.mp4") == pytest.approx([number / RATE for number in range(45)], abs=1e-3)
    found = document(out)
    assert [round(RATE * each["second"]) for each in found["images"]] == list(range(45))
    for number in (0, 1):
        path = out / "segments" / f"{number:06d}.mp4"
        assert path.stat().st_mtime_ns == kept[path], "left as it was"
    whole = tmp_path / "whole"
    oodseg.runs.predict_video(drive, make_pipeline(), whole, settings={"pipeline": "red"})
    assert found["annotations"] == document(whole)["annotations"]


def test_without_drawing_there_is_no_video(drive, out):
    run = oodseg.runs.predict_video(drive, make_pipeline(), out, overlays=False)
    assert [path.name for path in run.files] == ["tracks.json", "tracks.csv"]
    assert not list(out.rglob("*.mp4"))


def test_a_video_that_cannot_be_written_ends_the_run(drive, out, monkeypatch):
    monkeypatch.setattr("oodseg.runs.segments.write_bytes", _full)
    with pytest.raises(OodsegError, match="the disk is full"):
        oodseg.runs.predict_video(drive, make_pipeline(), out)


def _full(*_):
    raise OodsegError("the disk is full: free some space")


def test_results_never_replace_the_video_itself(tmp_path):
    drive = save_video(tmp_path / "tracks.mp4", images(2))
    with pytest.raises(ConfigError, match=r"tracks.mp4 was not written by"):
        oodseg.runs.predict_video(drive, make_pipeline(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        oodseg.runs.predict_video(drive, make_pipeline(), tmp_path / "file")


def test_a_detector_without_statistics_learns_them_from_the_video(drive, out):
    s2m = make_pipeline()
    s2m.detector.normalizer = None
    run = oodseg.runs.predict_video(drive, s2m, out)
    assert "were fitted on 10 of these images" in run.notes[0]
    assert s2m.detector.fitted


def test_the_python_iterator_gives_tracks_too(drive):
    found = list(make_pipeline().predict(drive))
    assert [each.time for each in found] == [number / 10 for number in range(10)]
    assert [[one.track for one in each.objects] for each in found] == [[1]] * 10
    assert found[3].title == "drive_000000300ms.mp4"
    assert found[5].objects[0].frame_confidence is None
    assert np.abs(found[5].read_image().astype(int) - images(10, hidden=(5,))[5]).mean() < 6
    assert len(list(make_pipeline().predict(drive, every=4))) == 3


def test_a_stream_is_followed_until_ctrl_c_and_begins_anew(tmp_path, out, monkeypatch):
    from oodseg.io.container import ContainerVideo

    drive, s2m, asked = save_video(tmp_path / "a.mp4", images(10)), make_pipeline(), []

    class Stream(ContainerVideo):
        def __init__(self, source):
            super().__init__(source)
            self.live, self.seconds = True, None

    def stopping(image):
        asked.append(image)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return s2m(image)

    monkeypatch.setattr("oodseg.io.video.ContainerVideo", Stream)
    run = oodseg.runs.predict_video(drive, stopping, out, settings={"pipeline": "red"})
    assert (run.frames, len(run.tracks)) == (5, 1)
    assert len(times_of(out / "tracks.mp4")) == 5
    asked[:] = [None] * 10
    run = oodseg.runs.predict_video(drive, stopping, out, settings={"pipeline": "red"}, fresh=True)
    assert (run.done_before, run.frames) == (0, 10)


def test_pipelines_without_images_of_their_own_are_drawn_too(drive, out):
    run = oodseg.runs.predict_video(
        drive, lambda image: Prediction(None, *image.shape[:2]), out, settings={"pipeline": "nothing"}
    )
    assert (run.frames, run.tracks) == (10, [])
    assert len(times_of(out / "tracks.mp4")) == 10
    assert rows(out) == []
