"""Runs the service with uvicorn until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from oodseg.core.allocation import keep_freed_memory
from oodseg.core.errors import OodsegError
from oodseg.service.app import create_app
from oodseg.service.gate import Gate
from oodseg.service.logs import set_up_logs
from oodseg.service.problems import MEDIA_TYPE, Problem
from oodseg.service.settings import Settings
from oodseg.service.state import State

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

_SPARE = 64  # connections beside those that bring an image: pages, health, counters


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers, as an app, that there are too many connections."""
    detail = "there are too many connections: try again in a moment"
    await Problem("overloaded", detail, {"Connection": "close"}).response()(scope, receive, send)


class _Protocol(H11Protocol):
    """HTTP that lets go of whoever takes too long to say what is wanted, and refuses what is too much."""

    header_seconds = 10.0
    most = 0  # connections
    refuse: ASGIApp = staticmethod(_refuse)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(self.header_seconds, self._part_from_the_silent)

    def _part_from_the_silent(self) -> None:
        # Later requests of a connection are bounded by the time that it is kept alive.
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def handle_events(self) -> None:
        """Takes what has come; uvicorn's own limit would be answered in plain text."""
        full = max(len(self.connections), len(self.tasks)) > self.most
        self.app = self.refuse if full else self.config.loaded_app
        super().handle_events()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, even where it only shows in the body of a request."""
        cycle = self.cycle
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            # Whoever waits for the rest of the body learns that there is none.
            cycle.disconnected = True
            cycle.message_event.set()
        if not begun:
            body = json.dumps(Problem("bad-request", "this is not HTTP as it should be").document()).encode()
            headers = [("content-type", MEDIA_TYPE), ("connection", "close")]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            with suppress(h11.LocalProtocolError):  # the end of the connection is agreed upon already
                for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Server(uvicorn.Server):
    """A server that tells its app at once that it is to stop, so that streams of events end."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server.handle_exit`."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._state.stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.startup`."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """See `uvicorn.Server.on_tick`; ends where there is no model to serve."""
        return await super().on_tick(counter) or self._state.engine.fault is not None


def serve(settings: Settings, app: FastAPI | None = None) -> None:
    """Serves until SIGINT or SIGTERM; then no new request is taken, and those that run are answered.

    Args:
        settings: Of the service.
        app: Of `create_app`; None makes it.

    Raises:
        OodsegError: The address cannot be listened at, or the models cannot be loaded.
    """
    set_up_logs(settings.log_level)
    keep_freed_memory()
    app = app or create_app(settings)
    state: State = app.state.service
    _Protocol.header_seconds = settings.header_seconds
    _Protocol.most = 2 * settings.queue_length + _SPARE
    _Protocol.refuse = Gate(_refuse, settings, state.meter)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    # Uvicorn raises the signal once more when all is answered: that is a good end, not a fault.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        _Server(config, state).run()
    except KeyboardInterrupt:
        pass
    except SystemExit as error:
        raise OodsegError(
            f"cannot listen at {settings.host}:{settings.port}: choose another --port, or end what uses it"
        ) from error
    if state.engine.fault is not None:
        raise OodsegError(state.engine.state) from state.engine.fault
