import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import DatasetError
from oodseg.data.duts import DutsIndex, is_held_out

IDS = [f"n{number:08d}" for number in range(1000, 1200)]
HELD_OUT = [wnid for wnid in IDS if is_held_out(wnid)]
KEPT = [wnid for wnid in IDS if not is_held_out(wnid)]


@pytest.fixture
def root(tmp_path):
    """Two images of a trained id, one of a held-out one; only the first is listed by name."""
    stems = [f"{KEPT[0]}_1", f"{KEPT[0]}_2", f"{HELD_OUT[0]}_7"]
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for shade, stem in enumerate(stems):
        image = np.full((20, 30, 3), (250, 10, 40 * shade), np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{stem}.jpg", quality=95)
        mask = np.zeros((20, 30), bool)
        mask[5:12, 4:9] = True
        Image.fromarray(mask).save(tmp_path / "masks" / f"{stem}.png")
    rows = [f"{stems[0]}\t{KEPT[0]}\tgoldfish\t0.1", f"{stems[1]}\t{KEPT[0]}\t?\t0.1"]
    (tmp_path / "nonstreet.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_about_one_id_in_twenty_is_held_out_and_always_the_same():
    ids = [f"n{number:08d}" for number in range(4000)]
    assert 0.04 < np.mean([is_held_out(wnid) for wnid in ids]) < 0.06
    # Weights that are out there were trained on the others: this list may never change.
    assert [wnid for wnid in ids[:60] if is_held_out(wnid)] == [
        "n00000004",
        "n00000007",
        "n00000012",
        "n00000049",
    ]


@pytest.mark.parametrize(
    ("split", "nonstreet_only", "expected"),
    [
        ("all", False, {f"{KEPT[0]}_1", f"{KEPT[0]}_2", f"{HELD_OUT[0]}_7"}),
        ("train", False, {f"{KEPT[0]}_1", f"{KEPT[0]}_2"}),
        ("held_out", False, {f"{HELD_OUT[0]}_7"}),
        ("all", True, {f"{KEPT[0]}_1"}),
    ],
)
def test_splits(root, split, nonstreet_only, expected):
    index = DutsIndex(root, split, nonstreet_only)
    assert {item.stem for item in index} == expected
    assert len(index) == len(expected)
    assert all(item.held_out == is_held_out(item.wnid) for item in index)
    assert index[0].stem == min(expected)


def test_reads_rgb_and_one_bit_masks(root):
    item = DutsIndex(root, "train")[0]
    image, mask = item.read_image(), item.read_mask()
    assert image.shape == (20, 30, 3)
    np.testing.assert_allclose(image.mean(axis=(0, 1)), (250, 10, 0), atol=4)
    assert mask.dtype == bool
    assert mask.sum() == 35
    assert mask[5:12, 4:9].all()


def drop_masks(root):
    for each in (root / "masks").iterdir():
        each.unlink()
    (root / "masks").rmdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_masks, "has no masks/"),
        (lambda root: (root / "nonstreet.tsv").unlink(), "nonstreet.tsv is missing"),
        (lambda root: (root / "nonstreet.tsv").write_text("only one field\n"), "line 1: expected"),
        (lambda root: (root / "masks" / f"{KEPT[0]}_1.png").unlink(), f"{KEPT[0]}_1.jpg has no mask"),
    ],
)
def test_a_spoilt_folder_is_named(root, spoil, message):
    spoil(root)
    with pytest.raises(DatasetError, match=message):
        DutsIndex(root)


def test_unknown_and_empty_splits(root):
    with pytest.raises(DatasetError, match="no split 'val'"):
        DutsIndex(root, "val")
    (root / "images" / f"{HELD_OUT[0]}_7.jpg").unlink()
    with pytest.raises(DatasetError, match="no DUTS object for split 'held_out'"):
        DutsIndex(root, "held_out")


@pytest.mark.parametrize("value", [1, 255])
def test_masks_hold_0_and_1_or_0_and_255(root, value):
    item = DutsIndex(root, "train")[0]
    mask = np.zeros((30, 40), np.uint8)
    mask[10:20, 10:20] = value
    Image.fromarray(mask).save(item.mask)
    assert np.array_equal(item.read_mask(), mask > 0)


@pytest.mark.parametrize(("part", "read"), [("images", "read_image"), ("masks", "read_mask")])
def test_a_damaged_file_is_named(root, part, read):
    item = DutsIndex(root, "train")[0]
    path = item.image if part == "images" else item.mask
    path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=path.name):
        getattr(item, read)()


def test_files_that_systems_leave_are_skipped(root):
    stems = [item.stem for item in DutsIndex(root)]
    for path in list(root.rglob("*.*")):
        path.with_name(f"._{path.name}").write_bytes(b"litter")
        path.with_name("Thumbs.db").write_bytes(b"litter")
    assert [item.stem for item in DutsIndex(root)] == stems
