"""A real process: slow senders, too many connections, SIGKILL in a video, SIGTERM in a request."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from served import SIDE
from service_app import encoded

from redness import street
from video_files import images, save_video, times_of

COUNT = 160


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def process(folder, header_seconds=1, queue_length=64):
    """A service in a process of its own, and a client of it; the process is gone afterwards."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("served.py")), str(port), str(folder)]
    settings = {"HEADER_SECONDS": header_seconds, "UPLOAD_SECONDS": 1, "QUEUE_LENGTH": queue_length}
    named = {f"OODSEG_{name}": str(value) for name, value in settings.items()}
    environment = {**os.environ, **named, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(running.stderr))
        reader.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                until(lambda: ready(client))
                yield running, client, lines
        finally:
            running.kill()
            running.wait()
            reader.join()


def ready(client):
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def answer_to(client, data):
    """What a raw connection gets that sends so much and no more."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as raw:
        raw.sendall(data)
        got = b""
        while piece := raw.recv(4096):
            got += piece
        return got


@pytest.mark.slow
def test_who_comes_while_there_are_too_many_connections_is_told_so(tmp_path) -> None:
    with process(tmp_path / "jobs", header_seconds=60, queue_length=1) as (_, client, lines):
        address = client.base_url.host, client.base_url.port
        with ExitStack() as stack:
            for _ in range(2 + 64):
                stack.enter_context(socket.create_connection(address))
            answer = httpx.get(f"{client.base_url}/v1/model", timeout=60)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"]
        assert answer.json()["type"].endswith("#overloaded")
        until(lambda: client.get("/v1/model").status_code == 200)
    logged = [each for each in map(json.loads, lines) if each.get("status") == 503]
    assert answer.headers["x-request-id"] in {each["request_id"] for each in logged}


@pytest.mark.slow
def test_a_service_that_is_killed_and_one_that_is_asked_to_stop(tmp_path) -> None:
    video = save_video(tmp_path / "drive.mp4", images(COUNT))
    times = times_of(video)
    with process(tmp_path / "jobs") as (running, client, _):
        job = client.post("/v1/jobs", content=video.read_bytes()).json()["id"]
        assert answer_to(client, b"POST /v1/predict HT") == b"", "whoever says nothing is let go"
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf"
        assert answer_to(client, head).startswith(b"HTTP/1.1 408")
        assert answer_to(client, b"\0\1\2\r\n\r\n").startswith(b"HTTP/1.1 400")
        segment = "results-*/segments/000000.json"
        until(lambda: list((tmp_path / "jobs" / job).glob(segment)))
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert json.loads((tmp_path / "jobs" / job / "job.json").read_text())["state"] == "running"
    with process(tmp_path / "jobs") as (running, client, lines):
        chunked = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"
        answer = answer_to(client, chunked)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"application/problem+json" in answer
        done = until(lambda: (found := client.get(f"/v1/jobs/{job}").json())["state"] == "done" and found)
        assert done["done"] == COUNT
        tracks = client.get(done["files"]["tracks.json"]).json()
        assert [round(each["second"], 3) for each in tracks["images"]] == times, "none twice, none missing"
        (tmp_path / "tracks.mp4").write_bytes(client.get(done["files"]["tracks.mp4"]).content)
        assert times_of(tmp_path / "tracks.mp4") == times
        frames = client.get("/metrics").text.split("\noodseg_job_frames_total ")[1].split("\n")[0]
        assert float(frames) < COUNT, "it goes on, and does not begin again"
        second = client.post("/v1/jobs", content=video.read_bytes()).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{second}").json()["done"] > 3)
        large, got = street((20, 20, 80, 80), size=(SIDE, SIDE)), []
        asking = threading.Thread(
            target=lambda: got.append(
                httpx.post(f"{client.base_url}/v1/predict", content=encoded(large), timeout=60)
            )
        )
        asking.start()
        until(lambda: "oodseg_requests_in_progress 1.0" in client.get("/metrics").text)
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 0
        asking.join()
        assert got[0].status_code == 200, "what runs is finished"
        assert got[0].json()["objects"]
        with pytest.raises(httpx.TransportError):
            client.get("/healthz")
    assert json.loads((tmp_path / "jobs" / second / "job.json").read_text())["state"] == "queued"
    facts = [json.loads(line) for line in lines]
    assert not [each for each in facts if each["level"] == "error"]
    answered = [each for each in facts if each.get("status") == 200 and each.get("path") == "/v1/predict"]
    assert answered[0]["request_id"] == got[0].headers["x-request-id"]
    assert np.isfinite(answered[0]["milliseconds"])
