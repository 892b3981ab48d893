import numpy as np
import pytest

from oodseg.core.errors import ConfigError, ImageError, VideoError
from oodseg.core.input_warnings import InputWarning
from oodseg.io.sequence import ImageSequence
from redness import save_street


def test_images_follow_their_numbers(tmp_path):
    for number in (10, 2, 1):
        save_street(tmp_path / "drive" / f"{number}.png", (number, 0, number + 20, 20))
    video = ImageSequence(tmp_path / "drive", 4)
    frames = list(video.frames())
    assert [(frame.path.name, frame.time) for frame in frames] == [
        ("1.png", 0.0),
        ("2.png", 0.25),
        ("10.png", 0.5),
    ]
    assert [int(np.argmax(frame.read()[0, :, 0] > 200)) for frame in frames] == [1, 2, 10]
    assert (video.name, video.seconds, video.rate, video.live) == ("drive", 0.75, 4, False)
    assert [frame.path.name for frame in video.frames(0.2)] == ["2.png", "10.png"]


def test_a_broken_image_is_left_out_and_its_time_goes_by(tmp_path):
    for number in range(3):
        save_street(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    video = ImageSequence(tmp_path, 10)
    with pytest.warns(InputWarning, match=r"1.png is empty"):
        assert [frame.time for frame in video.frames()] == [0.0, 0.2]


def test_images_of_several_sizes_are_no_video(tmp_path):
    save_street(tmp_path / "1.png")
    save_street(tmp_path / "2.png", size=(64, 64))
    with pytest.raises(VideoError, match=r"changes its size from 128x96 to 64x64 at 0.5 s"):
        list(ImageSequence(tmp_path, 2).frames())


def test_no_images_and_no_rate(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        ImageSequence(tmp_path, 10)
    with pytest.raises(ConfigError, match="rate above 0"):
        ImageSequence(tmp_path, 0)
