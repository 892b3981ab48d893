"""Keeps videos and what became of them on disk, so that a restart forgets none.

<folder>/<id>/job.json       what was asked for, and how far it is; written last, whole or not at all
<folder>/<id>/video          the upload
<folder>/<id>/results-<..>/  what `predict_video` writes, by what the results depend on
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal
from uuid import uuid4

from oodseg.core.errors import ConfigError
from oodseg.core.files import output_errors, write_json

JobState = Literal["queued", "running", "done", "failed"]
_RECORD, _VIDEO, _LOCK = "job.json", "video", "lock"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Job:
    """A video to be predicted.

    Attributes:
        id: Names it.
        created: When it came, seconds since 1970.
        operating_point: How readily boxes are proposed.
        every: The first of every so many frames is used.
        start: Seconds of the video at which to begin.
        end: Seconds at which to stop; None for its end.
        state: How far it is.
        begun: How often it was begun without an end: more than that are the sign of a video that ends the
            process.
        finished: When it ended.
        error: Why it failed, for people.
        frames: Frames that were predicted.
        objects: Unknown objects in them.
        results: Name of the folder of the results.
    """

    id: str
    created: float
    operating_point: str
    every: int = 1
    start: float = 0.0
    end: float | None = None
    state: JobState = "queued"
    begun: int = 0
    finished: float | None = None
    error: str | None = None
    frames: int | None = None
    objects: int | None = None
    results: str | None = None

    @property
    def ended(self) -> bool:
        """Tells whether nothing more will happen to it."""
        return self.state in {"done", "failed"}


class JobStore:
    """The jobs in a folder, which belongs to one service at a time.

    Args:
        folder: Made if missing, for this user alone.

    Raises:
        ConfigError: Another service uses the folder, or it belongs to another user.
        OodsegError: It cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with output_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                raise ConfigError(
                    f"{folder} belongs to another user: name another folder for videos (OODSEG_JOBS_FOLDER)"
                )
            self._lock: IO[bytes] = (folder / _LOCK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(
                f"another service keeps its videos in {folder}: name another folder (OODSEG_JOBS_FOLDER)"
            ) from error
        for path in folder.iterdir():  # uploads that broke off
            if _ID.fullmatch(path.name) and not (path / _RECORD).is_file():
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the folder."""
        self._lock.close()

    def reserve(self) -> tuple[str, Path]:
        """Makes room for an upload.

        Returns:
            The id of a job to be, and where its video goes.

        Raises:
            OodsegError: The folder cannot be written.
        """
        name = uuid4().hex
        with output_errors(self.folder):
            (self.folder / name).mkdir(mode=0o700)
        return name, self.video(name)

    def video(self, name: str) -> Path:
        """Returns the path of the video of a job."""
        return self.folder / name / _VIDEO

    def results(self, job: Job) -> Path | None:
        """The folder of a job's results; None before there are any."""
        return None if job.results is None else self.folder / job.id / job.results

    def write(self, job: Job) -> None:
        """Writes down what is known of a job.

        Raises:
            OodsegError: The folder cannot be written.
        """
        write_json(self.folder / job.id / _RECORD, asdict(job))

    def read(self, name: str) -> Job | None:
        """Reads the state of a job; None if there is none of that id."""
        if not _ID.fullmatch(name):  # before the disk sees it
            return None
        try:
            return Job(**json.loads((self.folder / name / _RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def jobs(self) -> Iterator[Job]:
        """All jobs, the oldest first."""
        found = [self.read(path.name) for path in self.folder.iterdir()]
        yield from sorted((job for job in found if job is not None), key=lambda job: (job.created, job.id))

    def forget(self, name: str) -> None:
        """Makes a job none any more; its files are left to `remove`, or to the next start."""
        if _ID.fullmatch(name):
            (self.folder / name / _RECORD).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Removes a job and all its files."""
        self.forget(name)  # first: what is left by a crash is no job any more
        if _ID.fullmatch(name):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def sweep(self, hours: float) -> None:
        """Removes jobs that ended so many hours ago."""
        for job in self.jobs():
            if job.finished is not None and time.time() - job.finished > 3600 * hours:
                self.remove(job.id)
