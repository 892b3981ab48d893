"""Builds the app of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from oodseg.core.version import __version__
from oodseg.service import about, images, jobs
from oodseg.service.engine import Engine
from oodseg.service.gate import Gate
from oodseg.service.meter import Meter
from oodseg.service.models import Models
from oodseg.service.problems import add_handlers
from oodseg.service.settings import Settings, read_settings
from oodseg.service.state import State

STATIC = Path(__file__).parent / "static"


class _Page(StaticFiles):
    """The files of the page. Browsers ask whether they have changed: modules of two versions do not fit."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(settings: Settings | None = None, load: Callable[[], Models] | None = None) -> FastAPI:
    """Builds the app; it loads its models when it starts, and answers `/healthz` meanwhile.

    Args:
        settings: Of the service; None reads the environment.
        load: Loads the models; None loads what the settings name.

    Raises:
        ConfigError: A setting in the environment has no such value.
    """
    chosen = settings or read_settings()
    meter = Meter()
    engine = Engine(
        load or partial(Models.load, chosen),
        meter,
        chosen.batch_images,
        chosen.batch_milliseconds / 1000,
        chosen.workers,
    )
    state = State.make(chosen, meter, engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.start()
        yield
        state.stopping.set()
        await asyncio.to_thread(state.stop)

    app = FastAPI(
        title="oodseg",
        version=__version__,
        description="Finds every object a street-scene model was never taught, and draws its outline.",
        license_info={"name": "Apache-2.0"},
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from another host.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = state
    add_handlers(app)
    app.include_router(about.router)
    app.include_router(images.router)
    app.include_router(jobs.router)
    if STATIC.is_dir():
        app.mount("/", _Page(directory=STATIC, html=True), name="page")
    if chosen.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(chosen.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Gate, settings=chosen, meter=meter)
    return app
