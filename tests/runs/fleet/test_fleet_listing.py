import os

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fleet_cases import save_images

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.input_warnings import collect_warnings
from oodseg.runs.fleet.listing import Listing
from oodseg.runs.fleet.manifests import joined_columns
from oodseg.runs.fleet.retrying import retrying


def paths(*sources):
    return [os.path.basename(each.path) for each in Listing(sources)]


@pytest.fixture
def photos(tmp_path):
    folder = save_images(tmp_path / "photos", 3)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_other_files_are_counted(photos):
    (photos / "a.heics").write_bytes(b"")
    (photos / "b.TXT").write_bytes(b"")
    with collect_warnings(forward=False) as warned:
        assert len(paths(photos)) == 3
    assert warned == [f"{photos}: 3 files that are no images are passed over (2 .txt, 1 .heics)"]


def test_folders_patterns_files_and_addresses_of_files(photos):
    assert paths(photos) == ["00000.png", "00001.png", "00002.png"]
    assert paths(f"{photos}/*1.png") == ["00001.png"]
    assert paths(f"file://{photos}") == ["00000.png", "00001.png", "00002.png"]
    assert paths(photos / "00002.png", photos) == ["00002.png", "00000.png", "00001.png"], "each once"
    first = next(iter(Listing([photos])))
    assert first.path == str(photos / "00000.png")
    assert first.stamp.startswith(f"{(photos / '00000.png').stat().st_size}-")


def test_a_store(photos):
    store = fsspec.filesystem("memory")
    for path in photos.iterdir():
        store.pipe_file(f"/bucket/day/{path.name}", path.read_bytes())
    store.pipe_file("/bucket/more.jpg", b"x")
    try:
        assert paths("memory://bucket") == ["00000.png", "00001.png", "00002.png", "more.jpg"]
        assert paths("memory://bucket/day/*1.png") == ["00001.png"]
        assert paths("memory://bucket/more.jpg") == ["more.jpg"]
        entry = next(iter(Listing(["memory://bucket/day"])))
        assert entry.path == "memory:///bucket/day/00000.png"
        assert entry.stamp is not None
    finally:
        store.rm("/bucket", recursive=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_columns_of_a_manifest_come_through(photos, tmp_path, suffix):
    table = pa.table({"path": ["photos/00001.png", "gone.png"], "drive": [7, 8], "width": ["a", "b"]})
    manifest = tmp_path / f"list{suffix}"
    if suffix == ".csv":
        manifest.write_text("path,drive,width\nphotos/00001.png,7,a\ngone.png,8,b\n")
    else:
        pq.write_table(table, manifest)
    listing = Listing([manifest])
    first, second = listing
    assert first.path == str(photos / "00001.png"), "beside the manifest"
    assert (first.extra, second.extra) == (
        {"drive": 7, "source_width": "a"},
        {"drive": 8, "source_width": "b"},
    )
    assert (first.stamp is None, second.stamp) == (False, None)
    assert joined_columns(listing.manifests) == pa.schema(
        [("drive", pa.int64()), ("source_width", pa.string())]
    )


def test_manifests_that_cannot_be_used(tmp_path):
    (tmp_path / "a.csv").write_text("file\nx.png\n")
    with pytest.raises(ConfigError, match="no column path"):
        Listing([tmp_path / "a.csv"])
    (tmp_path / "b.parquet").write_text("no table")
    with pytest.raises(ConfigError, match="cannot be read"):
        Listing([tmp_path / "b.parquet"])
    with pytest.raises(ImageError, match="does not exist"):
        Listing([tmp_path / "c.csv"])


@pytest.mark.parametrize("source", ["gone", "memory://gone"])
def test_sources_that_do_not_exist(source):
    with pytest.raises(ImageError, match="does not exist"):
        list(Listing([source]))


def test_an_empty_folder(tmp_path):
    with pytest.raises(ImageError, match="no image"):
        list(Listing([tmp_path]))


def test_asks_again_and_again_but_not_for_what_is_missing():
    calls, pauses = [], []

    def fails_twice():
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        return "found"

    assert retrying(fails_twice, sleep=pauses.append) == "found"
    assert len(pauses) == 2
    assert 0 < pauses[0] < 0.051 < pauses[1] + 0.051

    def missing():
        calls.append(1)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        retrying(missing, sleep=pauses.append)
    assert len(calls) == 4

    def never():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        retrying(never, attempts=3, sleep=pauses.append)
    assert len(pauses) == 4
