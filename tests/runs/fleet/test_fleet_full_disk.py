"""A disk that is really full: a small one in memory, mounted where nobody else sees it."""

import os
import subprocess
import sys

import pytest
from fleet_cases import save_images

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
# Arguments: the images, and the folder that is to be the disk.
RUN = """
import subprocess, sys
from pathlib import Path
from fleet_cases import assert_one_row_each, rows, run
from oodseg.core.errors import OodsegError

photos, disk = map(Path, sys.argv[1:])
out = disk / "out"
try:
    run(photos, out)
except OodsegError as error:
    print(error)
else:
    raise SystemExit("all of it went onto the disk")
before = len(rows(out))
assert 0 < before < 30, before
for file in out.rglob("*.parquet"):
    assert file.stat().st_size, file
subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
found = run(photos, out)
assert found.done_before == before, found
assert_one_row_each(out, photos)
"""


def may_mount(folder):
    try:
        subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def test_a_rerun_gives_every_image_one_row(tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not may_mount(disk):
        pytest.skip("nothing may be mounted here")
    photos = save_images(tmp_path / "photos", 30)
    shell = 'mount -t tmpfs -o size=100k tmpfs "$2" && exec "$0" -c "$CODE" "$1" "$2"'
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", shell, sys.executable, photos, disk],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CODE": RUN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the disk is full" in done.stdout
    assert list(disk.iterdir()) == [], "nobody else saw it"
