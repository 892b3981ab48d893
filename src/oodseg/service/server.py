"""Runs the service with uvicorn until it is told to stop."""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from oodseg.core.errors import OodsegError
from oodseg.service.app import create_app
from oodseg.service.logs import log, set_up_logs
from oodseg.service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_SPARE = 64  # connections beside those that bring an image: pages, health, counters


class _Protocol(H11Protocol):
    """HTTP that lets go of whoever takes too long to say what is wanted."""

    header_seconds = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(self.header_seconds, self._part_from_the_silent)

    def _part_from_the_silent(self) -> None:
        # Later requests of a connection are bounded by the time that it is kept alive.
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server that tells its app at once that it is to stop, so that streams of events end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._service = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server.handle_exit`."""
        super().handle_exit(sig, frame)
        self.loop.call_soon_threadsafe(self._service.state.service.stopping.set)

    async def serve(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """See `uvicorn.Server.serve`."""
        self.loop = asyncio.get_running_loop()
        await super().serve(sockets)  # type: ignore[arg-type]


def serve(settings: Settings, app: FastAPI | None = None) -> None:
    """Serves until SIGINT or SIGTERM; then no new request is taken, and those that run are answered.

    Args:
        settings: Of the service.
        app: Of `create_app`; None makes it.

    Raises:
        OodsegError: The address cannot be listened at.
    """
    set_up_logs(settings.log_level)
    app = app or create_app(settings)
    _Protocol.header_seconds = settings.header_seconds
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
        # Behind a proxy, uvicorn reads FORWARDED_ALLOW_IPS.
        limit_concurrency=2 * settings.queue_length + _SPARE,
        timeout_graceful_shutdown=round(settings.shutdown_seconds) or 1,
    )
    log("listening", host=settings.host, port=settings.port)
    try:
        _Server(config, app).run()
    except SystemExit as error:
        raise OodsegError(
            f"cannot listen at {settings.host}:{settings.port}: choose another --port, or end what uses it"
        ) from error
