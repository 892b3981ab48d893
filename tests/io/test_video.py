from pathlib import Path

import pytest

from oodseg.core.errors import VideoError
from oodseg.io.container import ContainerVideo
from oodseg.io.sequence import ImageSequence
from oodseg.io.video import is_video, open_video
from redness import save_street
from video_files import images, save_video


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("drive.mp4", True),
        (Path("a/b.MKV"), True),
        ("rtsp://camera/front", True),
        ("RTSP://camera/front", True),
        ("https://host/drive", True),
        ("camera:0", True),
        ("photos", False),
        ("photo.jpg", False),
        ("drive.gif", False),
        ("s3://bucket/photos", False),
        ("C:/photos", False),
        (["drive.mp4"], False),
        (0, False),
    ],
)
def test_videos_are_told_by_their_names(source, expected):
    assert is_video(source) is expected


def test_what_is_opened(tmp_path):
    path = save_video(tmp_path / "a.mp4", images(2))
    save_street(tmp_path / "frames" / "1.png")
    assert isinstance(open_video(path), ContainerVideo)
    assert isinstance(open_video([str(path)]), ContainerVideo)
    assert isinstance(open_video(tmp_path / "frames", fps=5), ImageSequence)


def test_one_video_at_a_time(tmp_path):
    with pytest.raises(VideoError, match=r"one video at a time: a.mp4, b.mp4 need"):
        open_video([tmp_path / "a.mp4", tmp_path / "b.mp4"])
