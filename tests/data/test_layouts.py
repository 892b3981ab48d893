import miniature
import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.data import LAYOUTS, open_dataset, verify


def counts(frame):
    """Share of in-distribution, anomalous and ignored columns."""
    return [round(float((frame.label == code).mean()), 2) for code in (0, 1, 255)]


@pytest.mark.parametrize(
    ("make", "key", "split", "names", "first"),
    [
        (miniature.plain, "plain", None, ["2", "10"], [0.34, 0.34, 0.31]),
        (lambda r: miniature.plain(r, anomaly=2), "plain", None, ["2", "10"], [0.34, 0.34, 0.31]),
        (lambda r: miniature.plain(r, images="original"), "plain", None, ["2", "10"], [0.34, 0.34, 0.31]),
        (
            miniature.smiyc_anomaly, "road_anomaly_21", None,
            ["validation0000", "validation0001"], [0.34, 0.34, 0.31],
        ),
        (
            miniature.smiyc_obstacle, "road_obstacle_21", None,
            ["validation_1", "validation_2"], [0.34, 0.31, 0.34],
        ),
        (
            miniature.lost_and_found, "lost_and_found", None,
            ["01_Hanns_Klemm_Str_45_000006_000080", "01_Hanns_Klemm_Str_45_000008_000080",
             "04_Maurener_Weg_8_000000_000030", "15_Rechbergstr_Deckenpfronn_000001_000040"],
            [0.25, 0.5, 0.25],
        ),
        (
            miniature.lost_and_found, "lost_and_found", "test-no-known",
            ["01_Hanns_Klemm_Str_45_000008_000080", "04_Maurener_Weg_8_000000_000030"],
            [0.25, 0.5, 0.25],
        ),
        (
            miniature.fishyscapes_laf, "fishyscapes_lost_and_found", None,
            ["04_Maurener_Weg_8_000000_000030", "01_Hanns_Klemm_Str_45_000008_000080"],
            [0.34, 0.34, 0.31],
        ),
        (
            miniature.fishyscapes_static, "fishyscapes_static", None, ["0000_frankfurt_000001_046504"],
            [0.6, 0.08, 0.31],
        ),
        (miniature.road_anomaly, "road_anomaly", None, ["animals01_Calves", "rock02_road"], [0.5, 0.5, 0.0]),
        (
            miniature.street_hazards, "street_hazards", None,
            ["images/test/t5/300", "images/test/t5/301"], [0.69, 0.31, 0.0],
        ),
        (
            lambda r: miniature.street_hazards(r, lines=True), "street_hazards", None,
            ["images/test/t5/300", "images/test/t5/301"], [0.69, 0.31, 0.0],
        ),
        (miniature.bdd_anomaly, "bdd_anomaly", None, ["a", "c"], [0.34, 0.34, 0.31]),
        (lambda r: miniature.bdd_anomaly(r, listed=True), "bdd_anomaly", None, ["a"], [0.34, 0.34, 0.31]),
    ],
)  # fmt: skip
def test_every_layout_is_told_and_read(tmp_path, make, key, split, names, first):
    found = open_dataset(make(tmp_path / "set"), split)
    assert found.key == key
    assert [frame.name for frame in found.frames] == names
    assert counts(found.frames[0]) == pytest.approx(first, abs=0.011)
    assert all(frame.image_path.is_file() for frame in found.frames)
    assert found.frames[0].label.dtype == np.uint8
    assert found.split == (split or LAYOUTS[key].splits[0])


def test_the_first_label_of_an_obstacle_set_is_mostly_ignored_and_its_track_is_obstacle(tmp_path):
    assert open_dataset(miniature.smiyc_obstacle(tmp_path)).track == "obstacle"
    assert open_dataset(miniature.smiyc_anomaly(tmp_path / "a")).track == "anomaly"


def test_test_images_of_smiyc_have_no_truth(tmp_path):
    (frame,) = open_dataset(miniature.smiyc_anomaly(tmp_path), "test").frames
    assert frame.name == "airplane0000"
    assert frame.label_path is None
    with pytest.raises(DatasetError, match="truth is not published"):
        _ = frame.label


def test_the_obstacle_validation_split_is_the_toolkits_30_of_40(tmp_path):
    names = [frame.name for frame in open_dataset(miniature.smiyc_obstacle(tmp_path, 40)).frames]
    assert len(names) == 30
    assert "validation_20" in names
    assert not {"validation_19", "validation_21", "validation_29"} & set(names)


def test_static_is_put_together_once(tmp_path):
    root = miniature.fishyscapes_static(tmp_path)
    (frame,) = open_dataset(root).frames
    from PIL import Image

    base = np.asarray(Image.open(root / "leftImg8bit/val/frankfurt/frankfurt_000001_046504_leftImg8bit.png"))
    made = np.asarray(Image.open(frame.image_path))
    np.testing.assert_array_equal(made[10:], base[10:])
    expected = np.clip(base[0, 0].astype(int) + np.array([30, -20, 250]), 0, 255)
    np.testing.assert_array_equal(made[0, 0], expected)
    assert frame.label[0, 0] == 1
    before = frame.image_path.stat().st_mtime_ns
    assert open_dataset(root).frames[0].image_path.stat().st_mtime_ns == before


def test_fishyscapes_labels_alone_are_enough_for_score_files(tmp_path):
    found = open_dataset(miniature.fishyscapes_laf(tmp_path, images=False))
    assert [frame.image_path for frame in found.frames] == [None, None]


@pytest.mark.parametrize(
    ("folder", "benchmark"),
    [("anomaly_track", "road_anomaly_21"), ("obstacle_track", "road_obstacle_21"),
     ("road_anomaly", "road_anomaly"), ("fishyscapes_static", "fishyscapes_static"),
     ("Static", "fishyscapes_static"),
     ("fishyscapes_lost_and_found", "fishyscapes_lost_and_found"), ("my_images", None)],
)  # fmt: skip
def test_plain_folders_are_taken_for_a_benchmark_by_name(tmp_path, folder, benchmark):
    assert open_dataset(miniature.plain(tmp_path / folder)).benchmark == benchmark


@pytest.mark.parametrize(
    ("folder", "anomaly", "suffix", "benchmark", "track"),
    [("RoadAnomaly21", 1, "png", "road_anomaly_21", "anomaly"),
     ("RoadObsticle21", 1, "webp", "road_obstacle_21", "obstacle"),
     ("FS_LostFound_full", 1, "png", "fishyscapes_lost_and_found", "anomaly"),
     ("fs_static", 1, "jpg", "fishyscapes_static", "anomaly"),
     ("RoadAnomaly", 2, "jpg", "road_anomaly", "anomaly")],
)  # fmt: skip
def test_the_sets_that_follow_mask2anomaly(tmp_path, folder, anomaly, suffix, benchmark, track):
    found = open_dataset(miniature.validation_dataset(tmp_path / folder, anomaly, suffix))
    assert (found.key, found.benchmark, found.track) == ("plain", benchmark, track)
    assert [frame.name for frame in found.frames] == ["0", "1"]
    assert [frame.image_path.suffix for frame in found.frames] == [f".{suffix}"] * 2
    assert counts(found.frames[0]) == pytest.approx([0.5, 0.5, 0.0])


@pytest.mark.parametrize("levels", [1, 2])
def test_an_archive_unpacked_too_deep_names_the_folder_that_fits(tmp_path, levels):
    outer = tmp_path / "archive"
    inner = outer.joinpath(*["RoadAnomaly"] * levels)
    miniature.road_anomaly(inner)
    miniature.road_anomaly(outer / "__MACOSX" / "RoadAnomaly")
    with pytest.raises(DatasetError, match=rf"near by there is {inner} \(RoadAnomaly\): name that folder"):
        open_dataset(outer)
    miniature.validation_dataset(outer / "fs_static")
    with pytest.raises(
        DatasetError, match=r"fs_static \(Any images of your own\).*name such a folder"
    ) as error:
        open_dataset(outer)
    assert f"{inner} (RoadAnomaly)" in str(error.value)
    assert "__MACOSX" not in str(error.value)


def test_a_folder_inside_a_set_names_the_set(tmp_path):
    root = miniature.plain(tmp_path / "mine")
    with pytest.raises(DatasetError, match=rf"images has .* near by there is {root} .*name that folder"):
        open_dataset(root / "images")


@pytest.mark.parametrize("value", [255, 7, 300])
def test_the_code_of_anomalies_can_be_named(tmp_path, value):
    root = miniature.plain(tmp_path)
    for path in (root / "labels").iterdir():
        Image.fromarray(np.where(miniature.label(0, 1) == 1, value, 0).astype(np.uint16)).save(path)
    found = open_dataset(root, anomaly_value=value)
    assert counts(found.frames[0]) == pytest.approx([0.5, 0.5, 0.0])
    assert found.notes == (f"the label code {value} counts as anomaly, as was asked for",)
    if value != 255:
        with pytest.raises(DatasetError, match=f"label code {value}, .*--anomaly-value"):
            _ = open_dataset(root).frames[0].label


def test_a_named_code_of_anomalies_leaves_ignore_alone(tmp_path):
    found = open_dataset(miniature.plain(tmp_path, anomaly=2), anomaly_value=2)
    assert counts(found.frames[0]) == pytest.approx([0.34, 0.34, 0.31], abs=0.011)
    (frame, _) = open_dataset(tmp_path, anomaly_value=255).frames
    with pytest.raises(DatasetError, match="label code 2, which this set does not have"):
        _ = frame.label


@pytest.mark.parametrize("make", [miniature.lost_and_found, miniature.street_hazards, miniature.bdd_anomaly])
def test_sets_with_codes_of_their_own_take_no_other(tmp_path, make):
    with pytest.raises(ConfigError, match="have codes of their own: leave the anomaly value out"):
        open_dataset(make(tmp_path), anomaly_value=255)


@pytest.mark.parametrize("value", [0, -1, 65536])
def test_a_code_that_no_label_can_hold(tmp_path, value):
    with pytest.raises(ConfigError, match=f"anomaly value {value} is not a label code"):
        open_dataset(miniature.plain(tmp_path), anomaly_value=value)


LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")


def leave_litter(root):
    """What macOS and Windows leave: `._NAME` beside every file and folder, and files of their own."""
    for path in list(root.rglob("*")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for name in LITTER:
            (folder / name).write_bytes(b"litter")


@pytest.mark.parametrize(
    "make",
    [miniature.plain, miniature.validation_dataset, miniature.smiyc_anomaly, miniature.smiyc_obstacle,
     miniature.lost_and_found, miniature.fishyscapes_laf, miniature.fishyscapes_static,
     miniature.road_anomaly, miniature.street_hazards, miniature.bdd_anomaly],
)  # fmt: skip
def test_files_that_systems_leave_are_skipped(tmp_path, make):
    root = make(tmp_path / "set")
    names = [frame.name for frame in open_dataset(root).frames]
    leave_litter(root)
    found = verify(open_dataset(root))
    assert [frame.name for frame in found.dataset.frames] == names
    assert found.labelled == len(names)


@pytest.mark.parametrize(
    "make",
    [miniature.plain, miniature.validation_dataset, miniature.smiyc_anomaly, miniature.smiyc_obstacle,
     miniature.lost_and_found, miniature.fishyscapes_laf, miniature.fishyscapes_static,
     miniature.road_anomaly, miniature.bdd_anomaly],
)  # fmt: skip
def test_suffixes_may_be_in_capitals(tmp_path, make):
    root = make(tmp_path / "set")
    names = [frame.name for frame in open_dataset(root).frames]
    for path in sorted(root.rglob("*.*")):
        if path.is_file() and path.suffix != ".npz":
            path.rename(path.with_suffix(path.suffix.upper()))
    found = verify(open_dataset(root))
    assert [frame.name for frame in found.dataset.frames] == names
    assert found.images == len(names)


def remove(root, pattern):
    next(iter(sorted(root.rglob(pattern)))).unlink()


def write(root, pattern, *codes):
    miniature.save(next(iter(sorted(root.rglob(pattern)))), miniature.label(*codes))


def damage(root, pattern):
    next(iter(sorted(root.rglob(pattern)))).write_bytes(b"\x89PNG\r\n\x1a\nnothing")


@pytest.mark.parametrize(
    ("make", "harm", "message"),
    [
        (miniature.plain, lambda r: remove(r, "labels/10.png"), r"10\.jpg has no label"),
        (miniature.plain, lambda r: remove(r, "images/2.jpg"), r"2\.png has no image"),
        (miniature.plain, lambda r: write(r, "labels/2.png", 0, 7), r"2\.png holds the label code 7"),
        (miniature.plain, lambda r: write(r, "labels/10.png", 0, 2), r"10\.png holds the label code 2"),
        (miniature.plain, lambda r: write(r, "labels/2.png", 1, 2), r"2\.png holds both 1 and 2"),
        (miniature.plain, lambda r: damage(r, "labels/2.png"), r"2\.png is (empty|not an image)"),
        (miniature.plain, lambda r: miniature.image(r / "images" / "2.png"), "share one name"),
        (miniature.plain, lambda r: miniature.image(r / "labels" / "2.png"), "colour image"),
        (miniature.smiyc_anomaly, lambda r: remove(r, "*0001_labels_semantic.png"), "validation0001"),
        (miniature.smiyc_anomaly, lambda r: remove(r, "*0001.jpg"), "validation0001_labels_sem"),
        (miniature.road_anomaly, lambda r: remove(r, "labels_semantic.png"), "animals01_Calves.labels"),
        (miniature.road_anomaly, lambda r: remove(r, "rock02_road.jpg"), "rock02_road.labels"),
        (miniature.road_anomaly, lambda r: write(r, "labels_semantic.png", 0, 1), "label code 1"),
        (miniature.lost_and_found, lambda r: remove(r / "gtCoarse/test", "15*.png"), "15_Rechbergstr"),
        (miniature.fishyscapes_laf, lambda r: remove(r / "leftImg8bit", "04*.png"), "04_Maurener_Weg_8"),
        (lambda r: miniature.fishyscapes_static(r, False), lambda r: None, "leftImg8bit/val"),
        (miniature.street_hazards, lambda r: remove(r, "annotations/*/t5/301.png"), r"301\.png is missing"),
        (miniature.street_hazards, lambda r: (r / "test/test.odgt").write_text("{]"), "not a list of frames"),
        (miniature.street_hazards, lambda r: (r / "test/test.odgt").write_text("[{}]"), "fpath_img"),
        (miniature.bdd_anomaly, lambda r: remove(r, "c.jpg"), "c_train_id.png has no image"),
    ],
)  # fmt: skip
def test_faults_name_the_file(tmp_path, make, harm, message):
    root = make(tmp_path / "set")
    harm(root)
    with pytest.raises(DatasetError, match=message):
        _ = [frame.label for frame in open_dataset(root).frames]


@pytest.mark.parametrize("layout", ["missing", "empty"])
def test_no_layout_at_all(tmp_path, layout):
    root = tmp_path / layout
    if layout == "empty":
        root.mkdir()
    with pytest.raises(DatasetError, match=str(root)):
        open_dataset(root)


def test_an_unknown_split_lists_those_there_are(tmp_path):
    with pytest.raises(DatasetError, match="test, test-no-known, train"):
        open_dataset(miniature.lost_and_found(tmp_path), "val")


def test_a_file_is_no_data_set(tmp_path):
    (tmp_path / "set.zip").touch()
    with pytest.raises(DatasetError, match=r"set.zip is a file: name the folder of a data set \(unpack"):
        open_dataset(tmp_path / "set.zip")
    with pytest.raises(DatasetError, match="none does not exist"):
        open_dataset(tmp_path / "none")
