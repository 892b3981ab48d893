"""A store that fails half of its requests, asked through the real client of S3."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fleet_cases import run, save_images
from s3_server import S3Server

s3fs = pytest.importorskip("s3fs", reason="oodseg[ray] is not installed")


@pytest.fixture
def store(monkeypatch):
    server = S3Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    monkeypatch.setattr("oodseg.runs.fleet.retrying._FIRST", 0.001)
    s3fs.S3FileSystem.clear_instance_cache()
    yield server
    s3fs.S3FileSystem.clear_instance_cache()
    server.close()


def test_half_of_all_requests_fail(store, tmp_path):
    for path in save_images(tmp_path / "photos", 8).iterdir():
        store.objects[f"photos/day/{path.name}"] = path.read_bytes()
    store.objects["photos/day/broken.png"] = b"no image"
    store.failing = 0.5
    # A request that fails ten times in a row is rare, and what a rerun is for.
    for _ in range(3):
        run("s3://photos/day", "s3://results/found")
    store.failing = 0.0
    found = run("s3://photos/day", "s3://results/found")
    assert (found.images, found.done_before, found.removed) == (9, 9, 0)
    assert store.failed > 10
    tables = [
        pq.read_table(pa.BufferReader(data))
        for name, data in store.objects.items()
        if name.startswith("results/found/rows/") and name.endswith(".parquet")
    ]
    paths = Counter(path for table in tables for path in table["path"].to_pylist())
    assert set(paths.values()) == {1}
    assert set(paths) == {f"s3://{name}" for name in store.objects if name.startswith("photos/")}
    assert not [name for name in store.objects if name.endswith(".pending")]
