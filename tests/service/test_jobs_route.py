"""Videos: taken in, predicted, told of, handed out and removed."""

import asyncio
import csv
import io
import json
import threading
from contextlib import suppress

import pytest
from service_app import assert_problem, client, models
from starlette.requests import ClientDisconnect

from oodseg.service.job_store import Job, JobStore
from redness import Redness
from video_files import HEIGHT, WIDTH, images, save_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return save_video(tmp_path_factory.mktemp("video") / "drive.mp4", images(12)).read_bytes()


@pytest.fixture(scope="module")
def served():
    with client(max_video_bytes=1_000_000, max_video_seconds=60, max_pixels=HEIGHT * WIDTH) as found:
        yield found


def ended(served, job):
    """What is told of a job at its end: the events end with it."""
    told = served.get(f"/v1/jobs/{job}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    event, data = told.text.strip().split("\n\n")[-1].split("\n")
    found = json.loads(data.removeprefix("data: "))
    assert event == f"event: {found['state']}"
    return found


def test_a_video_from_upload_to_results(served, video) -> None:
    answer = served.post("/v1/jobs?operating_point=thorough", files={"video": ("../../etc/x.mp4", video)})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/jobs/{job}"
    found = ended(served, job)
    assert (found["state"], found["done"], found["total"], found["objects"]) == ("done", 12, 12, 1)
    assert served.get(f"/v1/jobs/{job}").json() == found
    files = {name: served.get(url) for name, url in found["files"].items()}
    assert files["tracks.mp4"].headers["content-type"] == "video/mp4"
    assert files["tracks.mp4"].content[4:8] == b"ftyp"
    tracks = files["tracks.json"].json()
    assert len(tracks["images"]) == 12
    assert "/" not in tracks["videos"][0]["name"]
    assert len(list(csv.reader(io.StringIO(files["tracks.csv"].text)))) == 2
    assert_problem(served.get(f"/v1/jobs/{job}/job.json"), 404, "not-found", "tracks.csv")
    assert served.delete(f"/v1/jobs/{job}").status_code == 204
    assert_problem(served.get(f"/v1/jobs/{job}"), 404, "not-found")
    assert "oodseg_job_frames_total" in served.get("/metrics").text


def test_a_part_of_a_video(served, video) -> None:
    answer = served.post("/v1/jobs?every=2&start=0.2&end=0.9", content=video)
    found = ended(served, answer.json()["id"])
    assert found["done"] == 4


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("every=0", "every"),
        ("start=2&end=1", "choose other times"),
        ("operating_point=x", "'x'"),
        ("start=2", "start: the video is 1.2 s long and ends before 2 s"),
        ("start=1.2", "begin earlier"),
    ],
)
def test_other_parameters(served, video, query, words) -> None:
    assert_problem(served.post(f"/v1/jobs?{query}", content=video), 422, "invalid-parameter", words)


def test_a_start_behind_the_last_frame(served, video) -> None:
    answer = served.post("/v1/jobs?start=1.15", content=video)  # within the length, which only headers tell
    found = ended(served, answer.json()["id"])
    assert found["state"] == "failed"
    assert found["error"] == "the video has no frame from 1.15 s on: begin earlier"


def test_what_is_no_video(served, video) -> None:
    for content in (
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile 'x'\n",
        b"text",
    ):
        assert_problem(served.post("/v1/jobs", content=content), 415, "unsupported-type", "MP4")
    assert_problem(served.post("/v1/jobs", content=b""), 422, "unusable-input", "empty")
    lost = served.post("/v1/jobs", data={"every": "2"}, files={"video": video})
    assert_problem(lost, 400, "bad-request", "?every=")
    cut = served.post("/v1/jobs", content=video[:200])
    assert_problem(cut, 422, "unusable-input", "the upload cannot be read")
    assert_problem(served.post("/v1/jobs", json={}), 415, "unsupported-type")
    assert_problem(served.post("/v1/jobs", content=bytes(1_000_001)), 413, "too-large")


def test_frames_or_a_length_beyond_the_limits(served, tmp_path, video) -> None:
    large = save_video(tmp_path / "large.mp4", [frame.repeat(2, 0) for frame in images(2)])
    assert_problem(served.post("/v1/jobs", content=large.read_bytes()), 413, "too-large", "128x192")
    with client(max_video_seconds=1) as short:
        assert_problem(short.post("/v1/jobs", content=video), 413, "too-large", "at most 1 s")


def test_nothing_is_left_of_what_was_refused(tmp_path, video) -> None:
    with client(jobs_folder=tmp_path / "jobs") as found:
        found.post("/v1/jobs", content=video[:200])
        found.post("/v1/jobs", content=b"text")
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["lock"]


def test_ids_that_are_paths(served) -> None:
    for name in ("..", "%2e%2e", "0" * 31, "..%2f..%2fetc", "lock"):
        assert served.get(f"/v1/jobs/{name}").status_code == 404


class Blocked(Redness):
    """Waits at every frame until it is let go; the service's image to warm up goes through."""

    def __init__(self):
        super().__init__()
        self.open, self.warm = threading.Event(), False

    def score(self, images):
        if self.warm:
            assert self.open.wait(240)
        self.warm = True
        return super().score(images)


def test_a_full_queue_files_that_are_not_there_yet_and_a_job_that_is_not_wanted(tmp_path, video) -> None:
    store = JobStore(tmp_path)
    for number in range(2):
        name, path = store.reserve()
        path.write_bytes(video)
        store.write(Job(name, float(number), "quiet"))
    first, second = store.jobs()
    store.close()
    blocked = Blocked()

    def load():
        found = models()
        found.s2m.detector = blocked
        return found

    with client(load, jobs_folder=tmp_path, queued_jobs=2) as found:
        try:
            while found.get(f"/v1/jobs/{first.id}").json()["state"] != "running":
                pass
            answer = found.post("/v1/jobs", content=video)
            assert_problem(answer, 503, "overloaded", "2 videos")
            assert answer.headers["retry-after"]
            assert_problem(found.get(f"/v1/jobs/{first.id}/tracks.csv"), 409, "conflict", "running")
            assert found.delete(f"/v1/jobs/{first.id}").status_code == 204
            # At once, whether or not the service lives to see the frame that is being looked at.
            assert_problem(found.get(f"/v1/jobs/{first.id}"), 404, "not-found")
            assert_problem(found.delete(f"/v1/jobs/{first.id}"), 404, "not-found")
            assert not (tmp_path / first.id / "job.json").exists()
        finally:
            blocked.open.set()
        assert ended(found, second.id)["state"] == "done", "what waited before the start is done"
        assert found.get(f"/v1/jobs/{first.id}").status_code == 404
        assert not (tmp_path / first.id).exists()


def test_a_client_that_is_gone_before_it_knows_the_id_leaves_no_job(tmp_path, video) -> None:
    with client(jobs_folder=tmp_path) as found:
        said = [
            {"type": "http.request", "body": video, "more_body": False},
            {"type": "http.disconnect"},
        ]
        answered: list[object] = []

        async def receive():
            return said.pop(0) if len(said) > 1 else said[0]

        async def send(message):
            answered.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/jobs",
            "raw_path": b"/v1/jobs",
            "query_string": b"",
            "headers": [],
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        with suppress(ClientDisconnect):
            asyncio.run(found.app(scope, receive, send))
        store = found.app.state.service.videos.store
        assert list(store.jobs()) == []


def test_a_folder_that_another_service_uses(tmp_path, video) -> None:
    with client(jobs_folder=tmp_path), client(jobs_folder=tmp_path) as second:
        assert_problem(second.post("/v1/jobs", content=video), 404, "not-found", "no folder")
