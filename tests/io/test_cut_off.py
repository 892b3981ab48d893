import pytest

from oodseg.core.input_warnings import InputWarning
from oodseg.io.container import ContainerVideo
from oodseg.io.cut_off import is_cut_off
from video_files import images, noise, save_video

FILES = [
    ("a.mp4", "libx264", {"movflags": "faststart"}),
    ("a.mov", "libx264", {"movflags": "faststart"}),
    ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    ("a.mkv", "libx264", None),
    ("a.mkv", "libx264", {"live": "1"}),
    ("a.webm", "libvpx-vp9", None),
    ("a.avi", "mpeg4", None),
    ("a.ts", "libx264", None),
    ("a.m2ts", "libx264", None),
]


@pytest.fixture(scope="module", params=FILES, ids=str)
def whole(request, tmp_path_factory):
    name, codec, options = request.param
    return save_video(tmp_path_factory.mktemp("videos") / name, noise(40), codec=codec, options=options)


def test_whole_files_are_read_without_a_word(whole, recwarn):
    assert not is_cut_off(whole)
    assert len(list(ContainerVideo(str(whole)).frames())) == 40
    assert not [each for each in recwarn if each.category is InputWarning]


def cut(whole, folder, share):
    """The beginning of a file; not a multiple of the size of packets, which all are multiples of 4."""
    kept = int(whole.stat().st_size * share)
    path = folder / whole.name
    path.write_bytes(whole.read_bytes()[: kept + (kept % 4 == 0)])
    return path


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.99])
def test_files_that_break_off_are_told_wherever_that_is(whole, tmp_path, share):
    assert is_cut_off(cut(whole, tmp_path, share))


def test_the_last_frames_are_missed(whole, tmp_path):
    """Less than what lengths in headers are wrong by."""
    video = ContainerVideo(str(cut(whole, tmp_path, 0.97)))
    with pytest.warns(
        InputWarning, match=r"ends after [\d.]+( of [\d.]+)? s: it is truncated; copy it again"
    ):
        assert len(list(video.frames())) > 5


def test_other_formats_are_believed(tmp_path):
    path = tmp_path / "a.flv"
    save_video(path, images(3), codec="flv1")
    path.write_bytes(path.read_bytes()[:-300])
    assert not is_cut_off(path)
    path.write_bytes(b"")
    assert not is_cut_off(path)
