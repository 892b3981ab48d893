"""Runs the models, a few requests at a time; frames of videos come when nobody waits."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import OodsegError
from oodseg.service.logs import log
from oodseg.service.meter import Meter
from oodseg.service.models import Models
from oodseg.service.problems import Problem
from oodseg.service.shares import Shares

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.core.parts import Assessment, Judge, Sight
    from oodseg.core.prediction import Prediction

_REQUEST, _FRAME, _END = range(3)  # what comes first


@dataclass(order=True)
class _Task:
    """Something to compute, in the order in which that is to be done."""

    urgency: int
    number: int
    kind: str = field(compare=False)
    compute: Callable[[Models, Sight | None], Any] = field(compare=False)
    image: NDArray[np.uint8] | None = field(compare=False, default=None)
    future: Future[Any] = field(compare=False, default_factory=Future)


class Engine:
    """Loads and tries the models in a thread of its own, and computes there and in others what is asked for.

    On a CPU a request that is alone gets all its threads. Where several wait, each is computed with a part of
    them: that takes less time for all together.

    Args:
        load: Loads the models.
        meter: Is told of every computation.
        batch: Most images that the detector sees at once; 0 for eight on a GPU and one on a CPU.
        patience: Seconds that an image waits for others to join it.
        workers: Most computations at once on a CPU, each with models of its own; on a GPU there is one.

    Attributes:
        fault: Why the models could not be loaded; None if they were, or will be.
    """

    def __init__(
        self,
        load: Callable[[], Models],
        meter: Meter,
        batch: int = 0,
        patience: float = 0.005,
        workers: int = 1,
    ) -> None:
        self._load, self._meter, self._workers = load, meter, workers
        self._batch, self._patience = batch, patience
        self._tasks: queue.PriorityQueue[_Task] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._loaded = threading.Event()
        self._models: Models | None = None
        self.fault: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="oodseg-engine", daemon=True)

    def start(self) -> None:
        """Begins to load."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Ends the thread once all requests are answered.

        Args:
            seconds: How long to wait for that.

        Returns:
            Whether it has ended.
        """
        self._ended = True
        self._submit(_END, "end", lambda *_: None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the models are loaded, or cannot be; returns whether they are."""
        self._loaded.wait(seconds)
        return self.ready

    @property
    def ready(self) -> bool:
        """Tells whether the models are loaded."""
        return self._models is not None and not self._ended

    @property
    def models(self) -> Models:
        """The models.

        Raises:
            Problem: They are not loaded.
        """
        if self._models is None:
            raise self.problem
        return self._models

    @property
    def judge_in_use(self) -> Judge:
        """The failure detector.

        Raises:
            Problem: There is none, or it is not loaded.
        """
        judge = self.models.judge
        if judge is None:
            raise Problem("not-found", "this service runs without a failure detector (OODSEG_FAILURES)")
        return judge

    @property
    def state(self) -> str:
        """Says whether requests can be answered, for people."""
        if self.fault is not None:
            return f"the models cannot be loaded: {self.fault}"
        if self._ended:
            return "the service is shutting down: ask another one, or later"
        return "ready" if self._models is not None else "the models are being loaded: try again in a moment"

    @property
    def problem(self) -> Problem:
        """The answer while `ready` is false; models that cannot be loaded are no matter of waiting."""
        return Problem("not-ready" if self.fault is None else "no-models", self.state)

    def predict(self, image: NDArray[np.uint8], point: str, *, frame: bool = False) -> Future[Prediction]:
        """Asks for the objects of an image.

        Args:
            image: uint8 `[H, W, 3]`, RGB.
            point: Operating point.
            frame: Whether it is the frame of a video, which can wait.

        Raises:
            Problem: The models are not loaded, or the service is shutting down.
        """
        urgency = _FRAME if frame else _REQUEST
        return self._ask(urgency, "predict", lambda models, sight: models.find(image, point, sight), image)

    def judge(self, image: NDArray[np.uint8]) -> Future[Assessment]:
        """Asks where a segmentation of an image is likely wrong.

        Raises:
            Problem: As `predict`, or there is no failure detector.
        """
        self.judge_in_use  # noqa: B018  # raises if there is none
        return self._ask(_REQUEST, "judge", lambda models, _: models.assess(image))

    def _ask(self, *asked: Any) -> Future[Any]:
        if not self.ready:
            raise self.problem
        return self._submit(*asked)

    def _submit(
        self,
        urgency: int,
        kind: str,
        compute: Callable[[Models, Sight | None], Any],
        image: NDArray[np.uint8] | None = None,
    ) -> Future[Any]:
        task = _Task(urgency, next(self._numbers), kind, compute, image)
        self._tasks.put(task)
        return task.future

    def _run(self) -> None:
        try:
            models = self._load()
            models.warm_up()
            self._models = models
            self._meter.ready.set(1)
            log("models loaded", model=self._models.s2m.name)
        except Exception as error:
            self.fault = error
            log("models cannot be loaded", logging.ERROR, reason=str(error))
        finally:
            self._loaded.set()
        if self._models is not None:
            self._work_all(self._models)
        self._meter.ready.set(0)
        self._refuse()

    def _work_all(self, models: Models) -> None:
        """Works in this thread, and in as many others as there are to be."""
        on_cpu = models.s2m.device == "cpu"
        shares = Shares(self._workers if on_cpu else 1)
        # Parts may keep something while they compute, such as the hooks of a network.
        twins = [models.twin() for _ in range(shares.workers - 1)]
        threads = [threading.Thread(target=self._work, args=(each, shares), daemon=True) for each in twins]
        for thread in threads:
            thread.start()
        self._work(models, shares)
        for thread in threads:
            thread.join()

    def _work(self, models: Models, shares: Shares) -> None:
        while True:
            task = self._tasks.get()
            if task.urgency == _END:
                self._tasks.put(task)  # for the other threads
                return
            with shares.take(self._tasks.qsize()):
                self._compute_all(self._joined(task, models), models)

    def _joined(self, first: _Task, models: Models) -> list[_Task]:
        """A task with those that the detector can see at once with it."""
        most = self._batch or (1 if models.s2m.device == "cpu" else 8)
        tasks = [first]
        until = time.monotonic() + (self._patience if first.urgency == _REQUEST else 0)
        while first.image is not None and len(tasks) < most:
            try:
                task = self._tasks.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if task.image is None:
                self._tasks.put(task)
                break
            tasks.append(task)
        return tasks

    def _compute_all(self, tasks: list[_Task], models: Models) -> None:
        wanted = [task for task in tasks if task.future.set_running_or_notify_cancel()]
        images = [task.image for task in wanted if task.image is not None]
        sights: list[Sight | None] = [None] * len(wanted)
        if images:
            self._meter.batch.observe(len(images))
        if len(images) > 1:
            # What goes wrong here is found again, and told, where each is looked at alone.
            with suppress(Exception):
                sights = [*models.s2m.look_at(images)]
        for task, sight in zip(wanted, sights, strict=True):
            self._compute(task, models, sight)

    def _compute(self, task: _Task, models: Models, sight: Sight | None) -> None:
        began = time.perf_counter()
        try:
            result = task.compute(models, sight)
        except OodsegError as error:
            task.future.set_exception(error)
        except Exception as error:
            log("computation failed", logging.ERROR, kind=task.kind)
            task.future.set_exception(error)
        else:
            self._meter.inference.labels(task.kind).observe(time.perf_counter() - began)
            task.future.set_result(result)

    def _refuse(self) -> None:
        """Answers what is left: frames of videos, which go on at the next start."""
        while not self._tasks.empty():
            left = self._tasks.get_nowait().future
            if left.set_running_or_notify_cancel():
                left.set_exception(self.problem)
