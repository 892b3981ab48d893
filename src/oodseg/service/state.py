"""The state that all routes of one app share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar, cast

from fastapi import Request

from oodseg.core.errors import OodsegError
from oodseg.service.engine import Engine
from oodseg.service.intake import Admission, Budget, gone
from oodseg.service.job_store import JobStore
from oodseg.service.job_worker import Worker
from oodseg.service.logs import log
from oodseg.service.meter import Meter
from oodseg.service.problems import Problem
from oodseg.service.results import Results
from oodseg.service.settings import Settings

ResultT = TypeVar("ResultT")
_DECODERS = 2  # images decoded at once: a decoder has one core


@dataclass
class State:
    """The parts of a running service.

    Attributes:
        settings: What it was told.
        meter: Counts what happens.
        engine: Runs the models.
        admission: Counts requests with an image.
        pixels: Bounds what is decoded.
        decoders: Bounds how many images are decoded at once.
        results: What was found in the last images.
        stopping: Set when the service begins to shut down.
        worker: Works through videos; None where they cannot be kept.
        uploads: Videos that are being sent.
    """

    settings: Settings
    meter: Meter
    engine: Engine
    admission: Admission
    pixels: Budget
    decoders: asyncio.Semaphore
    results: Results
    stopping: asyncio.Event
    worker: Worker | None = None
    uploads: int = 0

    @classmethod
    def make(cls, settings: Settings, meter: Meter, engine: Engine) -> State:
        """Makes what a service needs beside its engine; nothing runs yet."""
        admission = Admission(settings.queue_length, settings.client_requests, meter)
        pixels, decoders = Budget(settings.queue_pixels), asyncio.Semaphore(_DECODERS)
        results = Results(settings.cached_results)
        return cls(settings, meter, engine, admission, pixels, decoders, results, asyncio.Event())

    @property
    def videos(self) -> Worker:
        """Works through videos.

        Raises:
            Problem: They cannot be kept.
        """
        if self.worker is None:
            raise Problem("not-found", "this service takes no videos: it has no folder to keep them in")
        return self.worker

    def start(self) -> None:
        """Begins to load the models, and goes on with the videos that are not done."""
        self.engine.start()
        try:
            store = JobStore(self.settings.jobs_folder)
        except OodsegError as error:
            log("no videos are taken", logging.WARNING, reason=str(error))
            return
        self.worker = Worker(store, self.engine, self.meter, self.settings.job_hours)
        self.worker.start()

    def stop(self) -> None:
        """Leaves the video that runs, and answers the requests that are left."""
        seconds = self.settings.shutdown_seconds
        if self.worker is not None:
            self.worker.stop(seconds)
        self.engine.stop(seconds)

    @classmethod
    def of(cls, request: Request) -> State:
        """The state of the app that answers a request."""
        return cast("State", request.app.state.service)

    async def in_time(self, request: Request, work: Awaitable[ResultT]) -> ResultT:
        """Waits for work as long as the client and the settings do.

        Raises:
            Problem: It took too long.
            ClientDisconnect: The client is gone.
        """
        doing = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(gone(request))
        seconds = self.settings.request_seconds
        try:
            await asyncio.wait({doing, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if leaving.done():
                leaving.result()
            raise Problem("out-of-time", f"the answer took longer than {seconds:g} s: try again later")
        finally:
            doing.cancel()
            leaving.cancel()
