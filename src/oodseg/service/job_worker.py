"""Works through the videos, one after the other; what is interrupted goes on at its last whole segment."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import OodsegError
from oodseg.core.fingerprint import hash_json
from oodseg.runs.videos import predict_video
from oodseg.service.engine import Engine
from oodseg.service.job_store import Job, JobStore
from oodseg.service.logs import log
from oodseg.service.meter import Meter
from oodseg.service.problems import Problem

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from oodseg.core.prediction import Prediction

_MOST_BEGUN = 5
_NAP = 60.0  # seconds between two looks for what has become old


class _Left(Exception):
    """A video is left where it is."""


def without_path(error: OodsegError, path: Path, name: str) -> str:
    """Words an error about a stored video for whoever sent it, who knows no path of ours."""
    words = str(error).replace(str(path), name)
    return words.replace(path.name, name, 1) if words.startswith(f"{path.name} ") else words


class Worker:
    """Predicts the videos of a store in a thread of its own, by asking the engine for every frame.

    Args:
        store: The jobs.
        engine: Finds the objects of a frame.
        meter: Is told of jobs and frames.
        hours: After which the results of a job go.
    """

    def __init__(self, store: JobStore, engine: Engine, meter: Meter, hours: float) -> None:
        self.store = store
        self._engine, self._meter, self._hours = engine, meter, hours
        self._news = threading.Condition()
        self._ending = False
        self._running: str | None = None
        self._unwanted: set[str] = set()
        self._progress: dict[str, tuple[int, int | None]] = {}
        self._thread = threading.Thread(target=self._run, name="oodseg-jobs", daemon=True)

    def start(self) -> None:
        """Begins with the oldest job that is not done."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Leaves the job that runs where it is: it goes on at the next start."""
        with self._news:
            self._ending = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self.store.close()

    def add(self, job: Job) -> None:
        """Takes a job whose video is in the store.

        Raises:
            OodsegError: The store cannot be written.
        """
        self.store.write(job)
        with self._news:
            self._news.notify()
        self._count()

    def drop(self, name: str) -> None:
        """Removes a job at once; one that runs stops after its frame, and its files go then."""
        with self._news:
            if self._running == name:
                self._unwanted.add(name)
                self.store.forget(name)  # also if the service ends before the frame does
            else:
                self.store.remove(name)
            self._progress.pop(name, None)
        self._count()

    def open_jobs(self) -> int:
        """Counts the jobs that wait or run."""
        return sum(not job.ended for job in self.store.jobs())

    def progress(self, job: Job) -> tuple[int, int | None]:
        """Frames done, and all of them if that is known."""
        if job.state == "done":
            return job.frames or 0, job.frames
        return self._progress.get(job.id, (0, None))

    def _run(self) -> None:
        if not self._engine.wait():
            return
        while not self._ending:
            try:
                self.store.sweep(self._hours)
                job = next((each for each in self.store.jobs() if not each.ended), None)
                if job is not None:
                    self._work(job)
                    continue
            except Exception:  # such as a full disk: videos wait, and images are still answered
                log("the queue of videos stands still", logging.ERROR)
            with self._news:
                if not self._ending and not self._waiting():
                    self._news.wait(_NAP)

    def _waiting(self) -> bool:
        try:
            return any(not job.ended for job in self.store.jobs())
        except OSError:
            return False

    def _work(self, job: Job) -> None:
        if job.begun >= _MOST_BEGUN:
            self._end(replace(job, state="failed", error="the service ended every time this video was begun"))
            return
        models = self._engine.models
        known = {**models.known, "operating_point": job.operating_point}
        results = f"results-{hash_json(known)[:12]}"
        job = replace(job, state="running", begun=job.begun + 1, results=results)
        with self._news:
            if self.store.read(job.id) is None:  # removed since it was chosen
                return
            self.store.write(job)
            self._running = job.id
        self._count()
        log("video begun", job=job.id)
        try:
            done = predict_video(
                self.store.video(job.id),
                self._finder(job),
                self.store.folder / job.id / results,
                every=job.every,
                start=job.start,
                end=job.end,
                settings=known,
                progress=lambda _, done, total: self._note(job.id, done, total),
            )
        except _Left:
            # It was left in order, which says nothing against the video.
            self._write(replace(job, state="queued", begun=job.begun - 1))
        except OodsegError as error:
            reason = without_path(error, self.store.video(job.id), "the video")
            self._end(replace(job, state="failed", error=reason))
        except Exception:
            log("video failed", logging.ERROR, job=job.id)
            self._end(replace(job, state="failed", error="the service made a mistake: report it with the id"))
        else:
            self._end(replace(job, state="done", frames=done.frames, objects=len(done.tracks)))
        finally:
            self._leave(job.id)

    def _finder(self, job: Job) -> Any:
        def find(image: NDArray[np.uint8], **_: Any) -> Prediction:
            if self._ending or job.id in self._unwanted:
                raise _Left
            try:
                found = self._engine.predict(image, job.operating_point, frame=True).result()
            except Problem as error:  # the service is shutting down
                raise _Left from error
            self._meter.frames.inc()
            return found

        return find

    def _note(self, name: str, done: int, total: int | None) -> None:
        self._progress[name] = done, total

    def _write(self, job: Job) -> None:
        with self._news:
            if job.id not in self._unwanted:
                self.store.write(job)

    def _end(self, job: Job) -> None:
        self._write(replace(job, finished=time.time()))
        log("video ended", job=job.id, state=job.state, frames=job.frames, reason=job.error)

    def _leave(self, name: str) -> None:
        with self._news:
            self._running = None
            unwanted = name in self._unwanted
            self._unwanted.discard(name)
        self._progress.pop(name, None)
        if unwanted:
            self.store.remove(name)
        self._count()

    def _count(self) -> None:
        states = Counter(job.state for job in self.store.jobs())
        for state in ("queued", "running", "done", "failed"):
            self._meter.jobs.labels(state).set(states[state])
