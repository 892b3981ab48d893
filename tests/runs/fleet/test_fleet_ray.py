"""Workers and drivers that are killed: real processes of Ray."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fleet_cases
import pytest
from fleet_cases import assert_one_row_each, rows, save_images

from oodseg.core.errors import OodsegError
from oodseg.runs.fleet.pools import RayPool

pytest.importorskip("ray", reason="oodseg[ray] is not installed")
PATIENCE = 240  # seconds, for machines that do much else


class Driver:
    """A run in a process of its own, with workers of its own."""

    def __init__(self, tmp_path, **options):
        self.out, self.journal = tmp_path / "out", tmp_path / "journal"
        self.journal.mkdir(exist_ok=True)
        given = {"source": str(tmp_path / "photos"), "out": str(self.out), "journal": str(self.journal)}
        here = Path(fleet_cases.__file__)
        environment = {**os.environ, "PYTHONPATH": str(here.parent), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(here), json.dumps(given | options)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_rows(self, files=1):
        """Waits until so many files are written; the process ids of the workers."""
        end = time.monotonic() + PATIENCE
        while len(list(self.out.rglob("*.parquet"))) < files:
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < end, "nothing was written"
            time.sleep(0.05)
        return [int(each.name) for each in self.journal.iterdir()]

    def result(self):
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, output
        return json.loads(output.strip().splitlines()[-1])


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_driver_lose_nothing(tmp_path):
    photos = save_images(tmp_path / "photos", 24)
    first = Driver(tmp_path, delay=0.3, workers=2)
    workers = first.wait_for_rows()
    os.kill(workers[0], signal.SIGKILL)
    before = len(list(first.out.rglob("*.parquet")))
    # It goes on with the others, or with a new one in its place.
    first.wait_for_rows(before + 1)
    first.process.kill()
    first.process.wait()
    end = time.monotonic() + PATIENCE
    while any(is_alive(int(each.name)) for each in first.journal.iterdir()):
        assert time.monotonic() < end, "workers outlive their driver"
        time.sleep(0.1)
    done = len(rows(first.out))
    assert 6 <= done < 24
    second = Driver(tmp_path, delay=0.0, workers=1).result()
    assert second == {"images": 24, "done_before": done}
    assert_one_row_each(first.out, photos)


@pytest.mark.parametrize(
    ("address", "starts", "word"), [("10.0.0.1:6379", 1, "no Ray cluster at 10"), (None, 3, "does not start")]
)
def test_a_cluster_that_is_not_there(monkeypatch, address, starts, word):
    import ray

    tried = []

    def fails(**options):
        tried.append(options["address"])
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(OodsegError, match=f"{word}.*nobody answers"):
        list(RayPool(address, workers=1)(None, 1))
    assert tried == [address or "local"] * starts
