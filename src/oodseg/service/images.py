"""`POST /v1/predict` and `POST /v1/failures`: an image in, what was found out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from oodseg.core.fingerprint import hash_bytes
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.version import __version__
from oodseg.io.uploads import decode_image, read_size
from oodseg.service.answers import (
    FailureView,
    View,
    found_json,
    found_picture,
    judged_json,
    judged_picture,
)
from oodseg.service.intake import read_upload
from oodseg.service.logs import current_request
from oodseg.service.negotiation import JSON, PNG, wants_picture
from oodseg.service.openapi import IMAGE_BODY, responses
from oodseg.service.schemas import Found, Judged
from oodseg.service.state import State

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oodseg.core.parts import Assessment
    from oodseg.core.prediction import Prediction

router = APIRouter(prefix="/v1", tags=["images"])
ResultT = TypeVar("ResultT")
_NAME = "the upload"


@router.post("/predict", response_model=Found, responses=responses(PNG), openapi_extra=IMAGE_BODY)
async def predict(
    request: Request,
    view: Annotated[View | None, Query(description="The picture wanted, where PNG is accepted.")] = None,
    operating_point: Annotated[
        str | None, Query(description="quiet, balanced, thorough; calibrated where there is a guarantee.")
    ] = None,
    all: Annotated[
        bool,
        Query(description="Whether objects of readier operating points come as well, marked by kept_by."),
    ] = False,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Finds and outlines every unknown object of an image."""
    began = time.perf_counter()
    state = State.of(request)
    picture = wants_picture(accept, view is not None)
    models = state.engine.models
    point = operating_point or models.usual
    models.check_point(point)
    wanted = models.readiest if all else point

    async def answer(data: bytes) -> bytes:
        found, image = await _find(state, data, wanted)
        if picture:
            if image is None:
                image = await _decode(state, data)
            return await asyncio.to_thread(found_picture, found, image, view or "overlay")
        seconds = time.perf_counter() - began
        return await asyncio.to_thread(found_json, found, models, current_request() or "", point, seconds)

    content = await _answered(request, answer)
    return Response(content, media_type=PNG if picture else JSON)


@router.post("/failures", response_model=Judged, responses=responses(PNG), openapi_extra=IMAGE_BODY)
async def failures(
    request: Request,
    view: Annotated[
        FailureView | None, Query(description="The picture wanted, where PNG is accepted.")
    ] = None,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Says where a segmentation of an image is likely wrong, and how good it is, without any truth."""
    began = time.perf_counter()
    state = State.of(request)
    picture = wants_picture(accept, view is not None)
    judge = state.engine.judge_in_use

    async def answer(data: bytes) -> bytes:
        found, warnings, image = await _judge(state, data)
        if picture:
            if image is None:
                image = await _decode(state, data)
            return await asyncio.to_thread(judged_picture, found, judge, image, view or "error")
        seconds = time.perf_counter() - began
        return judged_json(found, judge, current_request() or "", __version__, seconds, warnings)

    content = await _answered(request, answer)
    return Response(content, media_type=PNG if picture else JSON)


async def _answered(request: Request, answer: Callable[[bytes], Awaitable[bytes]]) -> bytes:
    """Lets a request in, reads its image, and answers in time."""
    state = State.of(request)
    settings = state.settings
    client = request.client.host if request.client else ""
    async with state.admission.enter(client):
        file = await read_upload(
            request, "image", "image", settings.max_upload_bytes, settings.upload_seconds
        )
        with file:
            data = file.read()
        return await state.in_time(request, answer(data))


@asynccontextmanager
async def _decoded(state: State, data: bytes) -> AsyncIterator[tuple[NDArray[np.uint8], list[str]]]:
    """Decodes an image as soon as there is room for its pixels, which it takes while the block runs."""
    most = state.settings.max_pixels
    height, width = read_size(data, _NAME, most)
    async with state.pixels.take(height * width):
        yield await _decode_and_warn(state, data)


async def _decode(state: State, data: bytes) -> NDArray[np.uint8]:
    return (await _decode_and_warn(state, data))[0]


async def _decode_and_warn(state: State, data: bytes) -> tuple[NDArray[np.uint8], list[str]]:
    """Decodes an image, and says what was mended in it."""

    def decode() -> tuple[NDArray[np.uint8], list[str]]:
        with collect_warnings(forward=False) as warnings:
            return decode_image(data, _NAME, state.settings.max_pixels), warnings

    async with state.decoders:
        return await asyncio.to_thread(decode)


async def _find(state: State, data: bytes, point: str) -> tuple[Prediction, NDArray[np.uint8] | None]:
    """What is in an image, and the image if it had to be decoded for that."""
    models, digest = state.engine.models, hash_bytes(data)
    known = state.results.prediction(digest, point, models)
    if known is not None:
        state.meter.cached.inc()
        return known, None
    async with _decoded(state, data) as (image, warnings):
        found = await asyncio.wrap_future(state.engine.predict(image, point))
    found = replace(found, warnings=[*warnings, *found.warnings])
    state.meter.objects.inc(len(found.objects))
    state.results.keep_prediction(digest, point, found)
    return found, image


async def _judge(state: State, data: bytes) -> tuple[Assessment, list[str], NDArray[np.uint8] | None]:
    """What the judge says of an image, what was mended in that, and it if it had to be decoded."""
    digest = hash_bytes(data)
    known = state.results.assessment(digest)
    if known is not None:
        state.meter.cached.inc()
        return *known, None
    async with _decoded(state, data) as (image, warnings):
        found = await asyncio.wrap_future(state.engine.judge(image))
    state.results.keep_assessment(digest, found, warnings)
    return found, warnings, image
