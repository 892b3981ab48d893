import av
import numpy as np
import pytest

from oodseg.core.errors import OodsegError
from oodseg.io.mp4 import Mp4Part, join_parts
from redness import street
from video_files import times_of

TIMES = [0.5, 0.533, 0.6, 1.7, 1.72, 1.8, 2.0]


def write_parts(folder, frames, times, length=3):
    parts = []
    for start in range(0, len(times), length):
        part = Mp4Part(frames[0].shape[0], frames[0].shape[1], 10.0)
        for image, time in zip(frames[start : start + length], times[start : start + length], strict=True):
            part.add(image, time)
        path = folder / f"{start}.mp4"
        path.write_bytes(part.finish())
        parts.append((path, times[start]))
    return parts


def test_parts_join_to_one_video_with_every_frame_at_its_time(tmp_path):
    frames = [street((8 * number, 20, 8 * number + 30, 50)) for number in range(7)]
    parts = write_parts(tmp_path, frames, TIMES)
    assert times_of(parts[1][0]) == pytest.approx([0.0, 0.02, 0.1])
    target = tmp_path / "whole.mp4"
    join_parts(target, parts)
    assert times_of(target) == pytest.approx([time - 0.5 for time in TIMES])
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].codec_context.name == "h264"
        for image, frame in zip(frames, container.decode(video=0), strict=True):
            assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - image).mean() < 4
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "players may begin before they have all of it"


def test_odd_sizes_are_padded(tmp_path):
    frames = [street((10, 10, 40, 40), size=(95, 127))] * 3
    ((path, _),) = write_parts(tmp_path, frames, TIMES[:3])
    with av.open(str(path)) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert image.shape == (96, 128, 3)
    assert np.abs(image[:95, :127].astype(int) - frames[0]).mean() < 4


def test_a_video_that_cannot_be_written_leaves_nothing(tmp_path):
    parts = write_parts(tmp_path, [street()], [0.0])
    parts.append((tmp_path / "gone.mp4", 1.0))
    with pytest.raises(OodsegError, match=r"cannot write .*whole.mp4"):
        join_parts(tmp_path / "whole.mp4", parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4"]
