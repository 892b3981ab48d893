import errno
import os

import pyarrow.parquet as pq
import pytest
from fleet_cases import StandIn, assert_one_row_each, rows, run, save_images

import oodseg.core.files
import oodseg.runs
from oodseg.core.errors import ConfigError, DatasetError, OodsegError
from oodseg.data.mined import read_mined
from oodseg.exchange.results import read_results
from oodseg.runs.fleet import chunks
from oodseg.runs.fleet.working import Worker


@pytest.fixture
def photos(tmp_path):
    return save_images(tmp_path / "photos", 10)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_one_row_per_image(photos, out):
    told = []
    found = run(photos, out, progress=lambda *each: told.append(each))
    assert (found.images, found.done_before, found.objects, found.with_objects) == (10, 0, 5, 5)
    assert (found.failed, found.errors, found.removed) == (0, [], 0)
    assert told == [("predicting", done, 10) for done in (3, 6, 9, 10)]
    assert_one_row_each(out, photos)
    counts = rows(out, "len(objects), objects[1].area, width, height, score.max, error")
    assert counts == [(1, 160, 40, 32, 1.0, None), (0, None, 40, 32, 0.0, None)] * 5
    assert len({id for (id,) in rows(out, "id")}) == 10
    files = sorted(out.glob("rows/*/*.parquet"))
    assert len(files) == 4
    assert pq.ParquetFile(files[0]).metadata.row_group(0).column(0).compression == "ZSTD"
    assert f"{out}" in found.rows


def test_called_again_it_does_what_is_missing(photos, out):
    run(photos, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}

    def never(image):
        raise AssertionError("all is done")

    assert run(photos, out, never).done_before == 10
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before
    save_images(photos, 2, first=10)
    found = run(photos, out)
    assert (found.images, found.done_before) == (12, 10)
    assert_one_row_each(out, photos)


def test_a_changed_image_is_done_anew_and_a_moved_one_is_known(photos, out, tmp_path):
    run(photos, out)
    (photos / "00000.png").write_bytes((photos / "00001.png").read_bytes())
    os.utime(photos / "00002.png", ns=(1, 1))

    def never(image):
        raise AssertionError("these bytes are known")

    found = run(photos, out, never)
    assert (found.done_before, found.reused, found.removed) == (8, 2, 2)
    assert_one_row_each(out, photos)
    assert [n for (n,) in rows(out, "len(objects)")][:3] == [0, 0, 1]
    moved = photos.rename(tmp_path / "elsewhere")
    assert run(moved, out, never).reused == 10


def test_another_pipeline_has_rows_of_its_own(photos, out):
    run(photos, out)
    assert run(photos, out, settings={"pipeline": "other"}).done_before == 0
    assert len(list((out / "rows").iterdir())) == 2
    assert len(rows(out)) == 20


def test_overwrite_does_all_anew(photos, out):
    run(photos, out)
    found = run(photos, out, fresh=True)
    assert (found.done_before, found.removed) == (0, 10)
    assert_one_row_each(out, photos)


def test_a_full_disk(photos, out, monkeypatch):
    original, written = oodseg.core.files.os.replace, []

    def replace(source, target):
        if str(target).endswith(".parquet"):
            written.append(target)
            if len(written) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(oodseg.core.files.os, "replace", replace)
        with pytest.raises(OodsegError, match="the disk is full"):
            run(photos, out)
    assert len(rows(out)) == 6
    assert run(photos, out).done_before == 6
    assert_one_row_each(out, photos)


def test_a_damaged_file_of_rows_is_made_anew(photos, out):
    run(photos, out)
    damaged = sorted(out.rglob("*.parquet"))[0]
    count = pq.ParquetFile(damaged).metadata.num_rows
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert run(photos, out).done_before == 10 - count
    assert_one_row_each(out, photos)


def test_images_that_are_gone_are_tried_again(photos, out):
    manifest = photos.parent / "list.csv"
    gone = photos / "00010.png"
    manifest.write_text("path,drive\n" + "".join(f"{path},7\n" for path in [*photos.iterdir(), gone]))
    found = run(manifest, out)
    assert (found.failed, found.retry) == (1, 1)
    assert "does not exist" in found.errors[0]
    save_images(photos, 1, first=10)
    found = run(manifest, out)
    assert (found.done_before, found.failed, found.removed) == (10, 0, 1)
    assert_one_row_each(out, photos)
    assert {drive for (drive,) in rows(out, "drive")} == {7}


def test_broken_images_are_rows_for_good(photos, out):
    (photos / "00003.png").write_text("no image")
    found = run(photos, out)
    assert (found.failed, found.retry) == (1, 0)
    assert_one_row_each(out, photos)
    assert run(photos, out).done_before == 10


def test_rows_written_twice_are_settled(photos, out):
    run(photos, out)
    one = sorted(out.rglob("*.parquet"))[0]
    count = pq.ParquetFile(one).metadata.num_rows
    one.with_name("part-again.parquet").write_bytes(one.read_bytes())
    assert run(photos, out).removed == count
    assert_one_row_each(out, photos)


def test_a_piece_that_is_written_already_is_not_done_again(photos, out):
    """As when a worker died after it wrote and before it said so."""
    calls = []

    def counting(image):
        calls.append(1)
        return StandIn()(image)

    def twice(assignment, count):
        worker = Worker(assignment)
        for chunk in range(count):
            first, again = worker.run(chunk), worker.run(chunk)
            assert (first.images, first.objects) == (again.images, again.objects)
            yield again

    run(photos, out, counting, pool=twice)
    assert len(calls) == 10
    assert_one_row_each(out, photos)


def test_a_pipeline_that_always_fails_ends_the_run(photos, out):
    def fails(image):
        raise RuntimeError("out of memory")

    with pytest.raises(OodsegError, match=r"out of memory.* on all 10 images"):
        run(photos, out, fails, rows_per_file=10)
    assert not list(out.rglob("*.pending"))
    assert run(photos, out).done_before == 0


def test_a_piece_at_which_workers_die_again_and_again_ends_the_run(photos, out):
    class Dies(BaseException):
        """A worker's death, in this process."""

    def dies(image):
        raise Dies

    def restarted(assignment, count):
        """As Ray does: another worker takes the piece, for ever."""
        while True:
            try:
                yield Worker(assignment).run(0)
            except Dies:
                deaths.append(1)

    deaths = []
    with pytest.raises(OodsegError, match=r"5 workers died at the images from .*00000\.png"):
        run(photos, out, dies, pool=restarted)
    assert len(deaths) == 5
    run(photos, out)
    assert_one_row_each(out, photos)


def test_interrupted(photos, out):
    def interrupts(assignment, count):
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt, match="run the same command again"):
        run(photos, out, pool=interrupts)
    run(photos, out)
    assert_one_row_each(out, photos)


def test_what_killed_runs_left_is_tidied_up(photos, out):
    run(photos, out)
    (rows_folder,) = (out / "rows").iterdir()
    (out / f".left{chunks._SUFFIX}").write_text("a list")
    for folder in (out, rows_folder):
        (folder / ".0123abcd.4711.part").write_text("half of a file")
    run(photos, out)
    assert_one_row_each(out, photos)


def test_folders_that_hold_something_else(photos, out, red):
    oodseg.runs.predict(photos / "00000.png", red, out)
    with pytest.raises(ConfigError, match=r"holds results of `oodseg predict`"):
        run(photos, out)
    run(photos, out.with_name("rows"))
    with pytest.raises(ConfigError, match=r"oodseg predict --engine ray"):
        oodseg.runs.predict(photos / "00000.png", red, out.with_name("rows"))
    (out.with_name("file")).write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        run(photos, out.with_name("file"))


def test_rows_are_results_for_the_other_verbs(photos, out):
    (photos / "00003.png").write_text("no image")
    run(photos, out)
    images = read_results(out)
    assert [each.name for each in images][:4] == ["00000.png", "00001.png", "00002.png", "00004.png"]
    assert [each.path for each in images][:2] == [photos / "00000.png", photos / "00001.png"]
    assert [len(each.objects) for each in images] == [1, 0, 1, 1, 0, 1, 0, 1, 0]
    assert images[0].objects[0].bbox == (10, 8, 20, 8)
    assert len(read_mined([out], "keep")) == 5
    run(photos, out, settings={"pipeline": "other"})
    with pytest.raises(DatasetError, match="rows of 2 pipelines"):
        read_results(out)


def test_a_saved_pipeline(photos, out, red):
    found = run(photos, out, red, settings=None)
    assert found.images == 10
    assert_one_row_each(out, photos)
