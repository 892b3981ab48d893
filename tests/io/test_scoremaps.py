import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import MissingDependencyError, ScoreMapError
from oodseg.core.input_warnings import InputWarning, collect_warnings
from oodseg.io.scoremaps import ScoreMap, as_score_map, read_score_map


@pytest.fixture
def scores(rng):
    return rng.normal(size=(24, 40)).astype(np.float32)


def test_npy_and_npz(tmp_path, scores):
    np.save(tmp_path / "a.npy", scores[None, :, :, None])
    assert np.array_equal(read_score_map(tmp_path / "a.npy").scores, scores)
    for key in ("score", "scores", "anomaly_scores", "whatever"):
        np.savez(tmp_path / "a.npz", **{key: scores})
        assert np.array_equal(read_score_map(tmp_path / "a.npz").scores, scores)
    np.savez(tmp_path / "a.npz", scores=scores, other=scores + 1)
    assert np.array_equal(read_score_map(tmp_path / "a.npz").scores, scores)


def test_png_of_16_and_of_8_bits(tmp_path):
    levels = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 68
    cv2.imwrite(str(tmp_path / "a.png"), levels)
    with collect_warnings(forward=False) as warned:
        found = read_score_map(tmp_path / "a.png")
    assert np.allclose(found.scores, levels / 65535)
    assert found.scores.dtype == np.float32
    assert warned == []
    cv2.imwrite(str(tmp_path / "b.png"), (levels // 257).astype(np.uint8))
    with pytest.warns(InputWarning, match=r"b\.png has only 256 levels"):
        found = read_score_map(tmp_path / "b.png")
    assert np.allclose(found.scores, (levels // 257) / 255)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiff_of_floats_keeps_them(tmp_path, scores, dtype):
    cv2.imwrite(str(tmp_path / "a.tif"), scores.astype(dtype) * 100)
    with collect_warnings(forward=False) as warned:
        assert np.array_equal(read_score_map(tmp_path / "a.tif").scores, (scores.astype(dtype) * 100))
    assert warned == []


@pytest.mark.parametrize("levels", [255, 65535])
def test_tiff_of_whole_numbers_is_scaled_as_png_is(tmp_path, levels):
    values = np.arange(24 * 40).reshape(24, 40) % levels
    for suffix in ("png", "TIFF"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), values.astype(np.uint8 if levels == 255 else np.uint16))
    with collect_warnings(forward=False) as warned:
        found = [read_score_map(tmp_path / f"a.{suffix}").scores for suffix in ("png", "TIFF")]
    assert np.array_equal(*found)
    assert len(warned) == (2 if levels == 255 else 0)


def test_colours_are_no_scores(tmp_path):
    for suffix in ("png", "tif"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), np.full((24, 40, 3), (0, 0, 9), np.uint8))
        with pytest.raises(ScoreMapError, match="colour image"):
            read_score_map(tmp_path / f"a.{suffix}")


def test_hdf5(tmp_path, scores, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["value"] = scores
    assert np.array_equal(read_score_map(tmp_path / "a.hdf5").scores, scores)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["other"] = scores
    with pytest.raises(ScoreMapError, match="holds other"):
        read_score_map(tmp_path / "b.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"install .*\[hdf5\]"):
        read_score_map(tmp_path / "a.hdf5")


def test_values_that_are_mended(scores):
    scores[0, :3] = [np.nan, np.inf, -np.inf]
    low, high = scores[1:].min(), scores[1:].max()
    low, high = min(low, scores[0, 3:].min()), max(high, scores[0, 3:].max())
    with pytest.warns(InputWarning, match=r"a\.npy: 3 of 960 scores were NaN or infinite and were replaced"):
        found = as_score_map(scores, "a.npy")
    assert found.scores[0, :3].tolist() == [low, high, low]
    assert np.array_equal(found.scores[1:], scores[1:])


@pytest.mark.parametrize(
    "values",
    [
        1e6 + np.linspace(0, 1e-3, 400),  # small differences of large numbers
        1 - np.logspace(-16, -9, 400),  # a softmax that is sure of itself
        np.logspace(-300, -100, 400),
        np.logspace(100, 149, 400),
        2.0**24 + np.arange(400),
        (2**24 + np.arange(400)).astype(np.int64),
        (2**24 + np.arange(400)).astype(np.uint32),
    ],
)
def test_distinct_scores_stay_distinct_and_in_order(values):
    with np.errstate(over="ignore"):
        assert len(np.unique(values.astype(np.float32))) < len(np.unique(values))
    found = as_score_map(values.reshape(20, 20)).scores.ravel()
    assert np.isfinite(found).all()
    assert np.array_equal(np.unique(found, return_inverse=True)[1], np.unique(values, return_inverse=True)[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint16, np.int64, bool])
def test_what_32_bits_can_hold_is_held_in_32_bits(dtype):
    values = (np.arange(400) % 2 if dtype is bool else np.arange(400)).astype(dtype).reshape(20, 20)
    found = as_score_map(values).scores
    assert found.dtype == np.float32
    assert np.array_equal(found, values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (2**60 + np.arange(400), "fall together in 64 bits"),
        (np.arange(400, dtype=np.uint64) * np.uint64(1000) + np.uint64(2**63), "fall together in 64 bits"),
        (np.logspace(100, 300, 400), "beyond 1e\\+150 were cut"),
    ],
)
def test_distinct_scores_that_fall_together_are_said(values, words):
    with pytest.warns(InputWarning, match=words):
        assert np.isfinite(as_score_map(values.reshape(20, 20)).scores).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((20, 20), np.nan), "no finite value"),
        (np.full((20, 20), np.inf), "no finite value"),
        (np.full((20, 20), 3.5), "is 3.5 everywhere"),
        (np.zeros((2, 20, 20)), r"shape \[2, 20, 20\]"),
        (np.zeros(400), r"shape \[400\]"),
        (np.zeros((8, 80)), "too small .80x8"),
        (np.full((20, 20), "x"), "instead of numbers"),
        (np.zeros((20, 20), complex), "instead of numbers"),
    ],
)
def test_values_that_are_refused(tmp_path, values, words):
    path = tmp_path / "a.npy"
    np.save(path, values)
    with pytest.raises(ScoreMapError, match=words) as error:
        read_score_map(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", ["npy", "png"])
def test_constant_maps_where_they_are_allowed(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    values = np.zeros((20, 30), np.uint16)
    np.save(path, values) if suffix == "npy" else cv2.imwrite(str(path), values)
    with pytest.raises(ScoreMapError, match="0 everywhere"):
        read_score_map(path)
    assert not read_score_map(path, allow_constant=True).scores.any()
    with pytest.raises(ScoreMapError, match="no finite value"):
        as_score_map(np.full((20, 20), np.nan), allow_constant=True)


def test_unreadable_files(tmp_path, scores):
    for name in ("a.npy", "a.npz", "a.png", "a.hdf5"):
        (tmp_path / name).write_bytes(b"rubbish" * 20)
        with pytest.raises((ScoreMapError, MissingDependencyError), match=name):
            read_score_map(tmp_path / name)
    np.save(tmp_path / "cut.npy", scores)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-100])
    with pytest.raises(ScoreMapError, match="cannot be read"):
        read_score_map(tmp_path / "cut.npy")
    with pytest.raises(ScoreMapError, match="does not exist"):
        read_score_map(tmp_path / "none.npy")
    with pytest.raises(ScoreMapError, match="save it as one of"):
        read_score_map(tmp_path / "a.txt")
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((20, 20, 3), (0, 0, 9), np.uint8))
    with pytest.raises(ScoreMapError, match="colour image"):
        read_score_map(tmp_path / "colour.png")


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ScoreMapError, match="holds no array of numbers"):
        read_score_map(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((720, 1280), True), ((360, 640), True), ((180, 320), True), ((359, 640), True), ((361, 640), True),
        ((1440, 2560), True), ((720, 720), False), ((358, 640), False), ((1280, 720), False),
        ((360, 600), False),
    ],
)  # fmt: skip
def test_which_sizes_cover_a_image(shape, fits):
    found = ScoreMap(np.zeros(shape, np.float32), "a.npy")
    if fits:
        found.check_size(720, 1280)
        ScoreMap(found.scores.T).check_size(1280, 720)
    else:
        with pytest.raises(ScoreMapError, match=f"a.npy is {shape[1]}x{shape[0]} pixels but .* 1280x720"):
            found.check_size(720, 1280)


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.arange(400.0).reshape(20, 20))

    def refused(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(np, "load", refused)
    with pytest.raises(ScoreMapError, match=r"a.npy cannot be read \(Permission denied\): check its"):
        read_score_map(tmp_path / "a.npy")


def test_arrays_of_one_byte_have_few_levels_too(tmp_path, scores):
    for values, levels in (((scores * 9).astype(np.int8), 256), (scores.clip(0) > 0, 2)):
        np.save(tmp_path / "a.npy", values)
        with pytest.warns(InputWarning, match=rf"a\.npy has only {levels} levels"):
            assert np.array_equal(read_score_map(tmp_path / "a.npy").scores, values)


def test_numpy_files_are_known_by_what_is_in_them(tmp_path, scores):
    np.save(tmp_path / "a.npy", scores)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", scores)
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    for name in ("a.npz", "b.npy"):
        assert np.array_equal(read_score_map(tmp_path / name).scores, scores)


def test_grey_is_read_however_a_png_stores_it(tmp_path):
    levels = (np.arange(24 * 40, dtype=np.uint8) % 251).reshape(24, 40)
    grey = Image.fromarray(levels)
    order = np.random.default_rng(0).permutation(256).astype(np.uint8)
    palette = Image.fromarray(np.argsort(order).astype(np.uint8)[levels], "P")
    palette.putpalette(np.repeat(order, 3).tolist())
    for image in (grey, palette, grey.convert("LA"), grey.convert("RGB"), grey.convert("RGBA")):
        image.save(tmp_path / "a.png")
        with pytest.warns(InputWarning, match="256 levels"):
            assert np.allclose(read_score_map(tmp_path / "a.png").scores, levels / 255)
