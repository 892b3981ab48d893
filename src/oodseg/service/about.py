"""Routes that tell of the service: its model, its health, its counters, its examples."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from oodseg.core.version import __version__
from oodseg.service.examples import EXAMPLES, draw_example
from oodseg.service.openapi import responses
from oodseg.service.problems import Problem
from oodseg.service.state import State
from oodseg.synth.demo import HEIGHT, WIDTH

router = APIRouter()
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", tags=["health"])
async def healthz(request: Request) -> dict[str, str]:
    """Says that the process answers."""
    engine = State.of(request).engine
    if engine.fault is not None:
        raise engine.problem
    return {"status": "ok", "version": __version__}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", tags=["health"], responses={503: responses()[503]})
async def readyz(request: Request) -> dict[str, str]:
    """Says whether requests can be answered: the models are loaded, and the service is not shutting down."""
    state = State.of(request)
    if not state.engine.ready or state.stopping.is_set():
        raise state.engine.problem
    return {"status": "ready"}


@router.get("/metrics", tags=["health"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Gives the counters in Prometheus's text format."""
    return Response(State.of(request).meter.text(), media_type=_EXPOSITION)


@router.get("/v1/model", tags=["about"])
async def model(request: Request) -> JSONResponse:
    """Describes the pipeline, its operating points, the failure detector and the limits of requests."""
    state = State.of(request)
    settings = state.settings
    limits: dict[str, Any] = {
        "image_bytes": settings.max_upload_bytes,
        "pixels": settings.max_pixels,
        "video_bytes": settings.max_video_bytes,
        "video_seconds": settings.max_video_seconds,
        "seconds": settings.request_seconds,
    }
    return JSONResponse({**state.engine.models.describe(), "limits": limits})


@router.get("/v1/examples", tags=["about"])
async def examples() -> list[dict[str, Any]]:
    """Lists drawn scenes to try the service with."""
    return [
        {
            "name": name,
            "title": each.title,
            "objects": each.objects,
            "width": WIDTH,
            "height": HEIGHT,
            "url": f"/v1/examples/{name}",
        }
        for name, each in EXAMPLES.items()
    ]


@router.get("/v1/examples/{name}", tags=["about"], response_class=Response, responses=responses("image/jpeg"))
async def example(name: str) -> Response:
    """Gives a drawn scene as JPEG."""
    if name not in EXAMPLES:
        raise Problem("not-found", f"there is no such example: choose one of {', '.join(EXAMPLES)}")
    content = await asyncio.to_thread(draw_example, name)
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "public, max-age=86400"})
