import builtins
import threading
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest
from rtsp_server import RtspServer

from oodseg.core.errors import MissingDependencyError, VideoError
from oodseg.core.input_warnings import InputWarning
from oodseg.io.container import ContainerVideo
from redness import street
from video_files import UPRIGHT_PHONE, box_at, images, noise, save_video

CONTAINERS = [
    ("a.mp4", "libx264"),
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx-vp9"),
    ("a.avi", "mpeg4"),
    ("a.ts", "libx264"),
]


def red(image):
    """The tightest box around what is red."""
    rows, columns = np.nonzero((image[:, :, 0] > 150) & (image[:, :, 1] < 80))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_all_frames_are_read_at_their_times(tmp_path, name, codec):
    video = ContainerVideo(str(save_video(tmp_path / name, images(12), codec=codec)))
    frames = list(video.frames())
    assert [frame.time for frame in frames] == pytest.approx([number / 10 for number in range(12)], abs=1e-3)
    for number, frame in enumerate(frames):
        image = frame.read()
        assert image.shape == (frame.height, frame.width, 3) == (96, 128, 3)
        assert red(image) == pytest.approx(box_at(number), abs=1)
    assert (video.name, video.live) == (name, False)
    assert video.rate == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_reading_begins_anywhere_at_the_very_frame(tmp_path, name, codec):
    video = ContainerVideo(str(save_video(tmp_path / name, noise(40), codec=codec)))
    times = [frame.time for frame in video.frames()]
    assert len(times) == 40
    for number in (1, 13, 39):
        assert [frame.time for frame in video.frames(times[number])] == times[number:]
        assert next(video.frames(times[number] - 0.01)).time == times[number]
    assert list(video.frames(99.0)) == []


def test_variable_frame_rates_stay_as_they_are(tmp_path):
    times = [0.0, 0.04, 0.5, 0.51, 2.0]
    video = ContainerVideo(str(save_video(tmp_path / "a.mp4", images(5), times=times)))
    assert [frame.time for frame in video.frames()] == pytest.approx(times)


@pytest.mark.parametrize(
    ("aspect", "turn", "size"),
    [
        (Fraction(4, 3), None, (96, 171)),
        (Fraction(2, 3), None, (96, 85)),
        (Fraction(1, 1), None, (96, 128)),
        (Fraction(4, 3), UPRIGHT_PHONE, (171, 96)),
    ],
)
def test_pixels_become_square(tmp_path, aspect, turn, size):
    frames = images(3)
    path = save_video(tmp_path / "wide.mp4", frames, aspect=aspect, matrix=turn)
    (first, *_) = ContainerVideo(str(path)).frames()
    assert (first.height, first.width) == size
    found = first.read()
    assert found.shape == (*size, 3)
    red = (found[..., 0].astype(int) - found[..., 1] > 100).sum()
    assert red == pytest.approx(24 * 24 * aspect, rel=0.1)


def test_what_is_too_wide_once_its_pixels_are_square_is_refused(tmp_path, monkeypatch):
    path = save_video(tmp_path / "wide.mp4", images(2), aspect=Fraction(4, 1))
    monkeypatch.setattr("oodseg.io.container.MAX_PIXELS", 4 * 96 * 128 - 1)
    with pytest.raises(VideoError, match=r"too large \(512x96 pixels"):
        ContainerVideo(str(path))


def test_phones_held_upright_give_upright_frames(tmp_path):
    """The sensor lies on its side: what is stored at the upper left is shown at the upper right."""
    stored = street((0, 0, 40, 20))
    video = ContainerVideo(str(save_video(tmp_path / "a.mp4", [stored] * 2, matrix=UPRIGHT_PHONE)))
    frame = next(video.frames())
    assert (frame.height, frame.width) == (128, 96)
    assert red(frame.read()) == pytest.approx((76, 0, 96, 40), abs=1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", r"is empty \(0 bytes\)"),
        (b"no video\n" * 100, "cannot be read as a video"),
        ("folder", "is a folder"),
    ],
)
def test_what_is_no_video_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "drive.mp4"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=f"drive.mp4 {words}.*:"):
        ContainerVideo(str(path))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "libx264", None),
        ("a.avi", "mpeg4", None),
    ],
)
def test_truncated_files_give_what_they_hold_and_say_so(tmp_path, name, codec, options):
    path = save_video(tmp_path / name, noise(40), options=options, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    video = ContainerVideo(str(path))
    with pytest.warns(InputWarning, match=f"{name} ends after .* it is truncated"):
        frames = [frame.read() for frame in video.frames()]
    assert 1 <= len(frames) < 40


def test_a_file_without_its_index_cannot_be_read(tmp_path):
    path = save_video(tmp_path / "a.mp4", noise(40))  # the index comes last
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(VideoError, match=r"a.mp4 cannot be read as a video .*truncated"):
        ContainerVideo(str(path))


def test_damage_within_is_left_out_and_counted(tmp_path):
    path = save_video(tmp_path / "a.mp4", noise(40), options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) * 6 // 10
    data[middle : middle + 3000] = bytes(range(250)) * 12
    path.write_bytes(data)
    video = ContainerVideo(str(path))
    with pytest.warns(InputWarning, match="damaged frame"):
        frames = list(video.frames())
    assert 10 < len(frames) < 40


def test_frames_that_cannot_be_decoded_at_all(tmp_path):
    path = save_video(tmp_path / "a.mkv", images(3))
    data = path.read_bytes()
    start = data.index(b"\x1f\x43\xb6\x75")  # the first cluster: what follows are frames
    path.write_bytes(data[:start])
    with pytest.raises(
        VideoError, match=r"a.mkv (holds no frame that can be read|cannot be read as a video)"
    ):
        list(ContainerVideo(str(path)).frames())


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"a.mp4 holds no video"):
        ContainerVideo(str(path))


@pytest.fixture
def served(tmp_path):
    """Address of a server of the files in `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_behind_an_address_are_read_like_others(tmp_path, served):
    save_video(tmp_path / "a.mp4", images(6), options={"movflags": "faststart"})
    video = ContainerVideo(f"{served}/a.mp4")
    assert (video.path, video.live) == (None, False)
    assert len(list(video.frames())) == 6


def test_a_camera_on_the_network_is_followed_until_it_hangs_up():
    with RtspServer(images(25)) as server:
        video = ContainerVideo(server.address)
        assert (video.live, video.seconds, video.name) == (True, None, server.address)
        frames = list(video.frames())
    times = [frame.time for frame in frames]
    assert len(times) > 15
    assert times == sorted(set(times))
    assert times[0] == 0
    boxes = [red(frame.read())[0] for frame in frames]
    assert boxes == sorted(boxes)
    assert boxes[-1] > boxes[0] + 30


@pytest.mark.parametrize("address", ["rtsp://me:secret@127.0.0.1:9/front", "camera:77"])
def test_streams_that_are_not_there_are_one_sentence(address):
    with pytest.raises(VideoError, match=r"cannot be opened \(.*\): check") as caught:
        ContainerVideo(address)
    assert "secret" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_one_sentence(monkeypatch, tmp_path):
    path = save_video(tmp_path / "a.mp4", images(1))

    def refused(*_, **__):
        raise av.error.PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(av, "open", refused)
    with pytest.raises(VideoError, match=r"a.mp4 cannot be opened \(Permission denied\): check its"):
        ContainerVideo(str(path))


def test_without_pyav_a_sentence_names_the_extra(monkeypatch, tmp_path):
    path = save_video(tmp_path / "a.mp4", images(1))
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "av":
            raise ModuleNotFoundError("no av", name="av")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"install .*\[video\]"):
        ContainerVideo(str(path))
