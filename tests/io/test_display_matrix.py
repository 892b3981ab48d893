import struct

import numpy as np
import pytest

from oodseg.io.container import ContainerVideo
from oodseg.io.display_matrix import shown_size, upright
from redness import street
from video_files import save_video

ONE = 1 << 16
STORED = np.array([[[1], [2], [3]], [[4], [5], [6]]], np.uint8)


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),  # a quarter to the right
        ((-1, 0, 0, -1), [[6, 5, 4], [3, 2, 1]]),
        ((0, -1, 1, 0), [[3, 6], [2, 5], [1, 4]]),  # to the left
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),  # mirrored
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, -1, -1, 0), [[6, 3], [5, 2], [4, 1]]),
        ((0.9, 0.1, -0.1, 0.9), [[1, 2, 3], [4, 5, 6]]),
        ((0, 0, 0, 0), [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_frames_are_turned_and_mirrored(turn, shown):
    a, b, c, d = (round(each * ONE) for each in turn)
    matrix = struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    found = upright(STORED, matrix)
    assert found[:, :, 0].tolist() == shown
    assert shown_size(2, 3, matrix) == found.shape[:2]


def test_without_a_matrix_a_frame_is_as_stored():
    assert upright(STORED, None) is STORED
    assert shown_size(2, 3, None) == (2, 3)


@pytest.mark.parametrize(
    ("turn", "corner"),
    [
        ((0, 1, -1, 0), "right"),
        ((-1, 0, 0, -1), "right"),
        ((-1, 0, 0, 1), "right"),
        ((0, 1, 1, 0), "left"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_files_are_read_as_players_show_them(tmp_path, name, turn, corner):
    """What is stored at the upper left comes to another corner."""
    a, b, c, d = (each * ONE for each in turn)
    matrix = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    video = ContainerVideo(str(save_video(tmp_path / name, [street((0, 0, 20, 20))] * 2, matrix=matrix)))
    image = next(video.frames()).read()
    assert image.shape[:2] == ((128, 96) if b else (96, 128))
    red = (image[:, :, 0] > 150) & (image[:, :, 1] < 80)
    assert (np.nonzero(red)[1].mean() > image.shape[1] / 2) == (corner == "right")
