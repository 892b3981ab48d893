"""Containers by their first bytes."""

import pytest

from oodseg.service.containers import HEAD, container_of
from video_files import images, save_video


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".mp4", "mp4"),
        (".mov", "mp4"),
        (".mkv", "matroska"),
        (".avi", "avi"),
        (".ts", "mpegts"),
        (".flv", "flv"),
    ],
)
def test_what_ffmpeg_writes(tmp_path, suffix, name) -> None:
    path = save_video(tmp_path / f"a{suffix}", images(3))
    assert container_of(path.read_bytes()[:HEAD]) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"G",
        b"#EXTM3U\n",
        b"ffconcat version 1.0\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\n",
        b"\xff\xd8\xff\xe0" * 99,
    ],
)
def test_what_names_other_files_or_is_no_video(head) -> None:
    assert container_of(head) is None
