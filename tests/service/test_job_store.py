"""What is kept of videos, and what goes."""

import time

import pytest

from oodseg.core.errors import ConfigError
from oodseg.service.job_store import Job, JobStore


@pytest.fixture
def store(tmp_path):
    found = JobStore(tmp_path / "jobs")
    yield found
    found.close()


def add(store, **changes):
    name, path = store.reserve()
    path.write_bytes(b"video")
    job = Job(name, **{"created": time.time(), "operating_point": "quiet", **changes})
    store.write(job)
    return job


def test_jobs_come_back_in_their_order(store) -> None:
    late, early = add(store, created=2.0), add(store, created=1.0, every=3)
    assert list(store.jobs()) == [early, late]
    assert store.read(early.id) == early
    assert store.read("../jobs") is None
    assert store.read("f" * 32) is None


def test_uploads_that_broke_off_go_at_the_next_start(store) -> None:
    job = add(store)
    name, path = store.reserve()
    path.write_bytes(b"half")
    store.close()
    again = JobStore(store.folder)
    assert not (store.folder / name).exists()
    assert again.read(job.id) == job
    again.close()


def test_old_results_go(store) -> None:
    old, new = add(store, finished=time.time() - 7200, state="done"), add(store, finished=time.time())
    waiting = add(store, created=0.0)
    store.sweep(1.0)
    assert {job.id for job in store.jobs()} == {new.id, waiting.id}
    assert not (store.folder / old.id).exists()


def test_a_damaged_record_is_no_job(store) -> None:
    job = add(store)
    (store.folder / job.id / "job.json").write_text("{")
    assert list(store.jobs()) == []


def test_the_folder_is_one_service_s_and_one_user_s(store, tmp_path) -> None:
    with pytest.raises(ConfigError, match="another service"):
        JobStore(store.folder)
    assert store.folder.stat().st_mode & 0o077 == 0
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="another user"):
        JobStore(tmp_path / "link")
