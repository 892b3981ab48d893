"""Measures `oodseg serve`: many clients at once, memory over many requests, uploads that are none.

    python benchmarks/service.py load [--clients 20] [--seconds 300] [--pause 0]
    python benchmarks/service.py memory [--requests 5000] [--height 720]
    python benchmarks/service.py malformed [--requests 10000]

Each starts a service in a process of its own, at 127.0.0.1, without its cache of results, and ends it. `load`
compares the latency of clients that ask without a pause, or one of so many seconds, with that of one client
alone. `memory` watches the process along many good requests, `malformed` along truncated images, other files,
decompression bombs, broken forms and headers, and slow senders.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from malformed_uploads import malformed_upload  # type: ignore[import-not-found]  # beside this script
from rich.console import Console
from rich.table import Table

from oodseg.core.encoding import encode_jpeg
from oodseg.synth.drawn import draw_scene

SCENES = 8
WAIT = 600.0  # seconds for an answer on a machine that is busy


@dataclass
class Served:
    """A service that runs.

    Attributes:
        url: Where it is asked.
        process: Its number.
    """

    url: str
    process: int

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self.url.rpartition(":")[2])

    def resident(self) -> float:
        """Memory of its process, MB."""
        pages = int(Path(f"/proc/{self.process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def files(self) -> int:
        """Files and sockets that it has open."""
        return len(os.listdir(f"/proc/{self.process}/fd"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("load", "memory", "malformed"))
    parser.add_argument("--pipeline", default="street")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: all cores")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument(
        "--pause", type=float, default=0.0, help="mean seconds between two requests of a client"
    )
    parser.add_argument("--requests", type=int)
    parser.add_argument("--height", type=int, default=720, help="of the images, 16:9")
    arguments = parser.parse_args()
    console = Console()
    with serving(arguments.pipeline, arguments.threads) as served:
        images = scenes(arguments.height)
        if arguments.what == "load":
            load(served, images, arguments.clients, arguments.seconds, arguments.pause, console)
        elif arguments.what == "memory":
            memory(served, images, arguments.requests or 5000, console)
        else:
            malformed(served, images[0], arguments.requests or 10_000, console)


@contextmanager
def serving(pipeline: str, threads: int, failures: str = "") -> Iterator[Served]:
    """Runs the service; it is ready when the block begins, and gone after it.

    Args:
        pipeline: As the service takes it.
        threads: Of torch; 0: all cores.
        failures: Failure detector; none if empty.
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with TemporaryDirectory() as folder:
        settings = {
            "PORT": port, "PIPELINE": pipeline, "FAILURES": failures, "CACHED_RESULTS": 0,
            "LOG_LEVEL": "error", "JOBS_FOLDER": folder, "REQUEST_SECONDS": WAIT,
            "UPLOAD_SECONDS": 1, "HEADER_SECONDS": 1,
        }  # fmt: skip
        named = {f"OODSEG_{name}": str(value) for name, value in settings.items()}
        if threads:
            named["OODSEG_THREADS"] = str(threads)
        command = [sys.executable, "-m", "oodseg.cli.main", "serve"]
        with subprocess.Popen(command, env={**os.environ, **named}) as process:
            try:
                served = Served(f"http://127.0.0.1:{port}", process.pid)
                while not ready(served):
                    if process.poll() is not None:
                        raise SystemExit("the service did not start")
                    time.sleep(0.2)
                yield served
            finally:
                process.terminate()
                process.wait(WAIT)


def ready(served: Served) -> bool:
    try:
        return httpx.get(f"{served.url}/readyz", timeout=WAIT).status_code == 200
    except httpx.TransportError:
        return False


def scenes(height: int) -> list[bytes]:
    """Drawn streets, JPEG."""
    size = height, height * 16 // 9
    drawn = (draw_scene(np.random.default_rng((0, number)), size, 2) for number in range(SCENES))
    return [encode_jpeg(each.image, 92) for each in drawn]


def ask(client: httpx.Client, image: bytes) -> tuple[float, int]:
    """Seconds and status of a request."""
    began = time.perf_counter()
    status = client.post("/v1/predict", content=image, headers={"Content-Type": "image/jpeg"}).status_code
    return time.perf_counter() - began, status


def load(
    served: Served, images: list[bytes], clients: int, seconds: float, pause: float, console: Console
) -> None:
    """Prints latencies of one client and of many."""
    with httpx.Client(base_url=served.url, timeout=WAIT) as client:
        ask(client, images[0])  # warms up
        alone = sorted(ask(client, image)[0] for image in images)
    single = float(np.median(alone))
    until = time.monotonic() + seconds

    def run(number: int) -> list[tuple[float, int]]:
        chance = random.Random(number)
        found: list[tuple[float, int]] = []
        with httpx.Client(base_url=served.url, timeout=WAIT) as client:
            while time.monotonic() < until:
                if pause:
                    time.sleep(chance.expovariate(1 / pause))
                found.append(ask(client, images[(number + len(found)) % len(images)]))
        return found

    began, before = time.monotonic(), served.resident()
    with ThreadPoolExecutor(clients) as pool:
        answers = [each for found in pool.map(run, range(clients)) for each in found]
    taken = time.monotonic() - began
    times = np.array([each[0] for each in answers])
    table = Table(title=f"{clients} clients for {taken:.0f} s, a pause of {pause:g} s", show_header=False)
    p95 = float(np.percentile(times, 95))
    for name, value in (
        ("one client alone, median", f"{single:.3f} s"),
        ("requests", str(len(answers))),
        ("answered otherwise than 200", str(sum(status != 200 for _, status in answers))),
        ("requests per second", f"{len(answers) / taken:.2f}"),
        ("of one client alone", f"{1 / float(np.mean(alone)):.2f}"),
        ("median", f"{np.median(times):.3f} s"),
        ("p95", f"{p95:.3f} s"),
        ("p95 / one client alone", f"{p95 / single:.1f}"),
        ("memory before and after", f"{before:.0f} and {served.resident():.0f} MB"),
    ):
        table.add_row(name, value)
    console.print(table)


def watch(
    served: Served, count: int, one: Callable[[int], str], clients: int, console: Console
) -> Counter[str]:
    """Makes many requests, and prints the memory of the service after every tenth of them."""
    marks, found = [], Counter[str]()
    with ThreadPoolExecutor(clients) as pool:
        for tenth in range(10):
            numbers = range(tenth * count // 10, (tenth + 1) * count // 10)
            found.update(pool.map(one, numbers))
            marks.append(served.resident())
            console.print(f"{numbers.stop} requests: {marks[-1]:.0f} MB, {served.files()} files")
    known = marks[1:]  # the first tenth fills caches
    growth = max(known) / known[0] - 1
    console.print(f"from the second tenth on: {min(known):.0f} to {max(known):.0f} MB ({growth:+.1%})")
    return found


def memory(served: Served, images: list[bytes], count: int, console: Console) -> None:
    """Prints the memory of the service along good requests."""
    with httpx.Client(base_url=served.url, timeout=WAIT) as client:

        def one(number: int) -> str:
            return str(ask(client, images[number % len(images)])[1])

        console.print(dict(watch(served, count, one, 4, console)))


def malformed(served: Served, image: bytes, count: int, console: Console) -> None:
    """Prints what uploads get that are no images, and whether a good one is answered afterwards."""
    with httpx.Client(base_url=served.url, timeout=WAIT) as client:
        console.print(f"a good request before: {ask(client, image)[1]}")

    def one(number: int) -> str:
        kind, data = malformed_upload(number, image)
        return f"{kind}: {send(served.port, data)}"

    found = watch(served, count, one, 16, console)
    table = Table("upload and answer", "times")
    for name, times in sorted(found.items()):
        table.add_row(name, str(times))
    console.print(table)
    with httpx.Client(base_url=served.url, timeout=WAIT) as client:
        console.print(f"a good request afterwards: {ask(client, image)[1]}")


def send(port: int, data: bytes) -> str:
    """Sends bytes and nothing more; returns the status of the answer, or that there was none."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as raw:
            raw.sendall(data)
            while b"\r\n" not in got and (piece := raw.recv(4096)):
                got += piece
    except (ConnectionError, BrokenPipeError):
        pass  # an answer may come before all is sent
    words = got.split(b" ", 2)
    return words[1].decode() if len(words) > 1 else "let go"


if __name__ == "__main__":
    main()
