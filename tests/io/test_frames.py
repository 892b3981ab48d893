import numpy as np
import pytest

from oodseg.core.errors import ConfigError, VideoError
from oodseg.io.frames import Cut, Video, VideoFrame, same_size


class Clock(Video):
    """Ten frames a second; seeking misses by `off` frames."""

    def __init__(self, count=20, off=0, lost=()):
        self.name, self.rate, self.seconds = "clock", 10.0, count / 10
        self._count, self._off, self._lost = count, off, lost

    def frames(self, start=0.0):
        for number in range(self._count):
            time = round(number / 10, 6)
            if time + (self._off / 10 if start else 0) >= start and number not in self._lost:
                yield VideoFrame(time, 1, 1, lambda: np.zeros((1, 1, 3), np.uint8))


def numbers(cut, video, after=None):
    return [round(10 * frame.time) for frame in cut.frames(video, after)]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (Cut(), list(range(20))),
        (Cut(every=7), [0, 7, 14]),
        (Cut(start=0.5, end=1.0), [5, 6, 7, 8, 9]),
        (Cut(every=2, start=0.45), list(range(5, 20, 2))),
        (Cut(start=5.0), []),
        (Cut(end=0.1), [0]),
    ],
)
def test_cuts(cut, expected):
    assert numbers(cut, Clock()) == expected
    assert Cut.count(cut, Clock()) == max(1, len(expected)) or abs(cut.count(Clock()) - len(expected)) <= 1


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("off", [0, 3, -3])
def test_reading_goes_on_after_a_frame(every, off):
    """Also where seeking misses."""
    cut = Cut(every=every, start=0.2)
    whole = numbers(cut, Clock())
    for place, number in enumerate(whole):
        assert numbers(cut, Clock(off=off), after=number / 10) == whole[place + 1 :]


def test_a_frame_that_is_gone_is_one_sentence():
    with pytest.raises(VideoError, match=r"clock has no frame at 0.5 s any more: .*--overwrite"):
        list(Cut().frames(Clock(lost=(5,)), after=0.5))


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"start": -1.0}, {"start": 2.0, "end": 2.0}, {"start": 2.0, "end": 1.0}]
)
def test_cuts_of_nothing_are_refused(options):
    with pytest.raises(ConfigError, match="choose"):
        Cut(**options)


def test_the_length_may_be_unknown():
    clock = Clock()
    clock.seconds = None
    assert Cut().count(clock) is None


def test_sizes_may_not_change():
    small, large = (VideoFrame(1.5, side, 2 * side, lambda: None) for side in (4, 8))
    same_size(small, None, "clock")
    same_size(small, small, "clock")
    with pytest.raises(VideoError, match=r"clock changes its size from 8x4 to 16x8 at 1.5 s: .*--end 1.5"):
        same_size(large, small, "clock")
