"""What all routes of one app share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar, cast

from fastapi import Request

from oodseg.service.engine import Engine
from oodseg.service.intake import Admission, Budget, gone
from oodseg.service.meter import Meter
from oodseg.service.problems import Problem
from oodseg.service.results import Results
from oodseg.service.settings import Settings

ResultT = TypeVar("ResultT")


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
    """

    settings: Settings
    meter: Meter
    engine: Engine
    admission: Admission
    pixels: Budget
    decoders: asyncio.Semaphore
    results: Results
    stopping: asyncio.Event

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
