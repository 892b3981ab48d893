import pytest

from oodseg.core.errors import ScoreMapError
from oodseg.io.score_files import ScoreFiles


def test_by_name(tmp_path):
    (tmp_path / "town").mkdir()
    for name in ("town/1.npy", "2.png", "3.npy", "3.png"):
        (tmp_path / name).write_bytes(b"x")
    files = ScoreFiles(tmp_path)
    assert files.find("town/1", "1") == tmp_path / "town" / "1.npy"
    assert files.find("city/2", "2") == tmp_path / "2.png"
    with pytest.raises(ScoreMapError, match=r"several score maps for '3' \(3\.npy, 3\.png\)"):
        files.find("3")
    with pytest.raises(ScoreMapError, match="no score map named '4'"):
        files.find("town/4", "4")
    with pytest.raises(ScoreMapError, match="does not exist"):
        ScoreFiles(tmp_path / "none")


@pytest.mark.parametrize("suffix", [".NPY", ".Npz", ".PNG", ".hDF5", ".H5"])
def test_suffixes_in_any_case(tmp_path, suffix):
    (tmp_path / "a.b.txt").write_bytes(b"x")
    (tmp_path / f"a.b{suffix}").write_bytes(b"x")
    assert ScoreFiles(tmp_path).find("town/a.b", "a.b") == tmp_path / f"a.b{suffix}"


def test_files_that_systems_leave_beside_others_are_nobodys(tmp_path):
    for name in ("._1.npy", "1.npy", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    assert ScoreFiles(tmp_path).find("1") == tmp_path / "1.npy"
