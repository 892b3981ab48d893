"""`oodseg predict` of a video."""

import json

import pytest
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.cli.videos import seconds
from run_helpers import assert_sentence, save_photos
from video_files import images, save_video


@pytest.fixture
def drive(tmp_path):
    return save_video(tmp_path / "drive.mp4", images(8))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(red, out, *arguments):
    arguments = ["predict", *map(str, arguments), "--out", str(out), "--pipeline", str(red)]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "250"})


def test_a_video_is_told_by_its_name(red, drive, out):
    result = run(red, out, drive)
    assert result.exit_code == 0, result.output
    counts = {
        line.rsplit(maxsplit=1)[0].strip(): line.split()[-1]
        for line in result.output.splitlines()
        if line.strip()
    }
    assert (counts["frames"], counts["unknown objects"]) == ("8", "1")
    for name in ("tracks.mp4", "tracks.json", "tracks.csv"):
        assert (out / name).is_file()
        assert f"wrote {out / name}" in result.output


def test_options_reach_the_run(red, drive, out):
    result = run(
        red, out, drive, "--every", 2, "--start", "0:0.2", "--end", 0.7, "--no-overlay", "--masks", "box"
    )
    assert result.exit_code == 0, result.output
    found = json.loads((out / "tracks.json").read_text())
    assert [each["second"] for each in found["images"]] == [0.2, 0.4, 0.6]
    assert found["info"]["settings"]["masks"] == "box"
    assert not (out / "tracks.mp4").exists()


def test_images_are_a_video_at_a_rate(red, tmp_path, out):
    result = run(red, out, save_photos(tmp_path / "photos", 4), "--fps", 5)
    assert result.exit_code == 0, result.output
    assert [each["second"] for each in json.loads((out / "tracks.json").read_text())["images"]] == [
        0,
        0.2,
        0.4,
        0.6,
    ]


def test_truncated_videos_say_so(red, drive, out):
    from video_files import noise

    path = save_video(drive.with_name("cut.mkv"), noise(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    result = run(red, out, path)
    assert result.exit_code == 0, result.output
    assert "note: cut.mkv ends after" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty.mp4"], ["empty.mp4 is empty", "copy or download"]),
        (["gone.mp4"], ["gone.mp4 does not exist"]),
        (["drive.mp4", "empty.mp4"], ["one video at a time"]),
        (["drive.mp4", "--score-map", "."], ["--score-map goes with images"]),
        (["drive.mp4", "--save-crops"], ["--save-crops goes with images, not with a video"]),
        (["photos", "--fps", "5", "--batch", "2"], ["--batch goes with images, not with a video"]),
        (["photos", "--every", "2"], ["--every, --start and --end are for videos"]),
        (["drive.mp4", "--start", "5", "--end", "4"], ["nothing lies between"]),
        (["drive.mp4", "--start", "nan"], ["a video cannot begin at nan s: choose a time from 0 on"]),
        (["drive.mp4", "--start", "-1"], ["a video cannot begin at -1 s"]),
        (["drive.mp4", "--end", "nan"], ["nothing lies between 0 s and nan s"]),
        (["drive.mp4", "--start", "9"], ["has no frame from 9 s on: begin earlier"]),
        (["drive.mp4", "--start", "noon"], ["'noon' is not a time"]),
        (["rtsp://127.0.0.1:9/front"], ["cannot be opened", "check the address"]),
    ],
)
def test_faults_are_one_sentence(red, drive, out, monkeypatch, arguments, words):
    monkeypatch.chdir(drive.parent)
    drive.with_name("empty.mp4").write_bytes(b"")
    save_photos(drive.parent / "photos", 1)
    assert_sentence(run(red, out, *arguments), 2, *words)


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("1:30", 90), ("1:00:01.5", 3601.5), (2.0, 2)])
def test_times(text, expected):
    assert seconds(text) == expected
