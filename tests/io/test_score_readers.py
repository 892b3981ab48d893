"""Score maps as tables, tensors and turned pictures."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from oodseg.core.errors import ScoreMapError
from oodseg.io.score_files import ScoreFiles
from oodseg.io.scoremaps import as_score_map, read_score_map


@pytest.fixture
def scores(rng):
    return rng.normal(size=(18, 26)).astype(np.float32)


def rows(scores, separator=",", mark="."):
    return [separator.join(repr(float(each)).replace(".", mark) for each in row) for row in scores]


@pytest.mark.parametrize(("separator", "mark"), [(",", "."), (";", "."), (";", ","), ("\t", ".")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables(tmp_path, scores, separator, mark, encoding):
    (tmp_path / "a.csv").write_bytes("\r\n".join(rows(scores, separator, mark)).encode(encoding))
    assert np.array_equal(read_score_map(tmp_path / "a.csv").scores, scores)


def test_tables_of_pandas(tmp_path, scores):
    names = ",".join(map(str, range(26)))
    (tmp_path / "a.csv").write_text("\n".join([names, *rows(scores)]))
    assert np.array_equal(read_score_map(tmp_path / "a.csv").scores, scores)
    numbered = [f"{number},{row}" for number, row in enumerate(rows(scores))]
    (tmp_path / "b.csv").write_text("\n".join([f",{names}", *numbered]))
    assert np.array_equal(read_score_map(tmp_path / "b.csv").scores, scores)


def test_tables_of_numpy_and_with_separators_at_the_end(tmp_path, scores):
    np.savetxt(tmp_path / "a.csv", scores)
    np.savetxt(tmp_path / "b.csv", scores, delimiter=", ", header="scores of a street")
    (tmp_path / "c.csv").write_text("".join(f"{row},\n" for row in rows(scores)))
    for name in ("a.csv", "b.csv", "c.csv"):
        assert np.array_equal(read_score_map(tmp_path / name).scores, scores)


def test_files_that_are_no_arrays(tmp_path):
    (tmp_path / "a.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tmp_path / "b.npy").write_text("no array")
    np.save(tmp_path / "c.npy", np.array([{}], object), allow_pickle=True)
    for name, words in (
        ("a", "only stands for a file in Git LFS"),
        ("b", "holds no array of numbers: save it"),
    ):
        with pytest.raises(ScoreMapError, match=rf"{name}\.npy {words}"):
            read_score_map(tmp_path / f"{name}.npy")
    with pytest.raises(ScoreMapError, match=r"c\.npy holds no array of numbers") as raised:
        read_score_map(tmp_path / "c.npy")
    assert "pickle" not in str(raised.value)


@pytest.mark.parametrize("text", ["image,score\na.png,0.3\n", "1,2\n3\n", ""])
def test_other_tables_are_refused(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ScoreMapError, match=r"a\.csv "):
        read_score_map(tmp_path / "a.csv")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors(tmp_path, scores, dtype):
    tensor = torch.from_numpy(scores)[None].to(dtype).requires_grad_()
    torch.save(tensor, tmp_path / "a.pt")
    assert np.array_equal(read_score_map(tmp_path / "a.pt").scores, tensor[0].detach().double())
    torch.save({"scores": tensor, "other": 3}, tmp_path / "b.pt")
    assert np.array_equal(read_score_map(tmp_path / "b.pt").scores, tensor[0].detach().double())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": 1, "b": 2}, "name the scores one of score, scores"),
        ([1.0], "holds a list: save the scores as one tensor"),
        (np.random.default_rng, "more than tensors"),
    ],
)
def test_other_files_of_torch_are_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ScoreMapError, match=words) as raised:
        read_score_map(tmp_path / "a.pt")
    assert "weights_only" not in str(raised.value)


def test_tables_and_tensors_beside_maps_are_no_second_ones(tmp_path, scores):
    np.save(tmp_path / "a.npy", scores)
    for name in ("a.csv", "a.pt", "b.csv"):
        (tmp_path / name).write_text("image,objects")
    files = ScoreFiles(tmp_path)
    assert files.find("a").name == "a.npy"
    assert files.find("b").name == "b.csv"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_are_upright(tmp_path, orientation, suffix):
    levels = (np.arange(18 * 26, dtype=np.uint16) * 100).reshape(18, 26)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for each in ("png", suffix):
        Image.fromarray(levels).save(tmp_path / f"a.{each}", exif=exif)
    with Image.open(tmp_path / "a.png") as image:  # of TIFF files Pillow turns some wrongly
        expected = np.asarray(ImageOps.exif_transpose(image))
    found = read_score_map(tmp_path / f"a.{suffix}").scores
    np.testing.assert_allclose(found * 65535, expected, atol=0.1)


def test_several_maps_in_a_file_are_refused(tmp_path, scores):
    cv2.imwritemulti(str(tmp_path / "a.tif"), [scores, scores + 1])
    with pytest.raises(ScoreMapError, match=r"a\.tif holds 2 images: save one map per image"):
        read_score_map(tmp_path / "a.tif")


def test_a_map_that_lies_on_its_side_is_recognised(scores):
    with pytest.raises(ScoreMapError, match="may be turned by its EXIF orientation"):
        as_score_map(scores).check_size(26, 18)
    with pytest.raises(ScoreMapError, match=r"of the same shape$"):
        as_score_map(scores).check_size(40, 90)
