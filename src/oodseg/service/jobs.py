"""`/v1/jobs`: videos, which take longer than a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from oodseg.core.errors import OodsegError, VideoError
from oodseg.core.files import output_errors
from oodseg.io.frames import Cut
from oodseg.io.video import open_video
from oodseg.runs.videos import CSV_FILE, JSON_FILE, VIDEO_FILE
from oodseg.service.containers import HEAD, container_of
from oodseg.service.intake import read_upload
from oodseg.service.job_store import Job
from oodseg.service.job_worker import Worker, without_path
from oodseg.service.openapi import VIDEO_BODY, responses
from oodseg.service.problems import Problem
from oodseg.service.schemas import JobDocument
from oodseg.service.settings import Settings
from oodseg.service.state import State

router = APIRouter(prefix="/v1/jobs", tags=["videos"])
_TYPES = {VIDEO_FILE: "video/mp4", JSON_FILE: "application/json", CSV_FILE: "text/csv"}
_MEMORY = 1_000_000  # bytes of an upload kept in memory
_PIECE = 1_000_000
_LOOK, _SIGN = 0.2, 15.0  # seconds between two looks, and between two signs of life


@router.post("", status_code=202, response_model=JobDocument, responses=responses(), openapi_extra=VIDEO_BODY)
async def create(
    request: Request,
    operating_point: Annotated[str | None, Query(description="As for images.")] = None,
    every: Annotated[int, Query(ge=1, description="The first of every so many frames is used.")] = 1,
    start: Annotated[float, Query(ge=0, description="Seconds at which to begin.")] = 0.0,
    end: Annotated[float | None, Query(gt=0, description="Seconds at which to stop.")] = None,
) -> Response:
    """Takes a video, as the field `video` of a form or as the body, and answers with the id of a job."""
    state = State.of(request)
    settings, worker = state.settings, state.videos
    point = operating_point or state.engine.models.usual
    state.engine.models.check_point(point)
    Cut(every, start, end)
    if state.uploads + worker.open_jobs() >= settings.queued_jobs:
        raise Problem("overloaded", f"{settings.queued_jobs} videos wait already: try again later")
    state.uploads += 1
    try:
        most, seconds = settings.max_video_bytes, settings.video_upload_seconds
        file = await read_upload(request, "video", "video", most, seconds, _MEMORY)
        with file:
            job = await asyncio.to_thread(_take_in, worker, settings, file, point, every, start, end)
    finally:
        state.uploads -= 1
    if await request.is_disconnected():  # nobody knows its id
        worker.drop(job.id)
        raise ClientDisconnect
    document = describe(worker, job)
    return JSONResponse(document.model_dump(), 202, {"Location": f"{router.prefix}/{job.id}"})


def _take_in(
    worker: Worker,
    settings: Settings,
    file: IO[bytes],
    point: str,
    every: int,
    start: float,
    end: float | None,
) -> Job:
    """Puts a video that can be read into the store."""
    head = file.read(HEAD)
    if not head:
        raise Problem("unusable-input", "the upload is empty (0 bytes): send its content")
    if container_of(head) is None:
        raise Problem("unsupported-type", "this is no video: send MP4, MOV, MKV, WebM, AVI, FLV, OGG or MPEG")
    file.seek(0)
    try:
        name, path = worker.store.reserve()
    except OodsegError as error:
        raise Problem("overloaded", "there is no room for videos: try again later") from error
    try:
        _copy(file, path)
        _check(path, settings, start)
        job = Job(name, time.time(), point, every, start, end)
        worker.add(job)
    except BaseException:
        worker.store.remove(name)
        raise
    return job


def _copy(file: IO[bytes], path: Path) -> None:
    try:
        with output_errors(path), path.open("xb") as target:
            while piece := file.read(_PIECE):
                target.write(piece)
    except OodsegError as error:
        raise Problem("overloaded", "there is no room for this video: try again later") from error


def _check(path: Path, settings: Settings, start: float) -> None:
    """Opens a video and reads its first frame.

    Raises:
        Problem: It cannot be read, is too long, ends before `start`, or its frames are too large.
    """
    try:
        video = open_video(path)
        if video.seconds is not None and video.seconds > settings.max_video_seconds:
            raise Problem("too-large", f"at most {settings.max_video_seconds:g} s are taken: cut the video")
        if video.seconds is not None and start >= video.seconds:
            raise Problem(
                "invalid-parameter",
                f"start: the video is {video.seconds:.4g} s long and ends before {start:g} s: begin earlier",
            )
        frames = video.frames()
        first = next(frames)
        frames.close()  # type: ignore[attr-defined]
    except VideoError as error:
        raise Problem("unusable-input", without_path(error, path, "the upload")) from error
    if first.height * first.width > settings.max_pixels:
        raise Problem(
            "too-large",
            f"its frames have {first.width}x{first.height} pixels, at most {settings.max_pixels:,} are "
            "taken: shrink the video",
        )


@router.get("/{name}", response_model=JobDocument, responses=responses(also=(404,)))
async def status(request: Request, name: str) -> Response:
    """Says how far a video is."""
    worker = State.of(request).videos
    return JSONResponse(describe(worker, _found(worker, name)).model_dump())


@router.delete(
    "/{name}", status_code=204, responses=responses(also=(404,)), summary="Cancel", response_class=Response
)
async def remove(request: Request, name: str) -> Response:
    """Cancels a video that waits or runs, and removes it with all that was made of it.

    From then on its id is unknown (404), and streams of its events end; one that runs stops after the frame
    that is being looked at.
    """
    worker = State.of(request).videos
    job = _found(worker, name)
    await asyncio.to_thread(worker.drop, job.id)
    return Response(status_code=204)


@router.get(
    "/{name}/events",
    response_class=StreamingResponse,
    responses=responses("text/event-stream", also=(404,)),
)
async def events(request: Request, name: str) -> StreamingResponse:
    """Tells of progress as server-sent events: `progress`, at last `done` or `failed`; data as of the job.

    The stream of a job that is removed ends without either.
    """
    state = State.of(request)
    _found(state.videos, name)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(state, name), media_type="text/event-stream", headers=headers)


async def _told(state: State, name: str) -> AsyncIterator[str]:
    last, silent_since = "", time.monotonic()
    while not state.stopping.is_set():
        job = state.videos.store.read(name)
        if job is None:
            return
        data = describe(state.videos, job).model_dump_json()
        if data != last:
            yield f"event: {job.state if job.ended else 'progress'}\ndata: {data}\n\n"
            last, silent_since = data, time.monotonic()
        elif time.monotonic() - silent_since > _SIGN:
            yield ": waiting\n\n"
            silent_since = time.monotonic()
        if job.ended:
            return
        await asyncio.sleep(_LOOK)


@router.get(
    "/{name}/{file}",
    response_class=FileResponse,
    responses=responses(*_TYPES.values(), also=(404, 409)),
)
async def result(request: Request, name: str, file: str) -> FileResponse:
    """Gives a file of the results: `tracks.mp4`, `tracks.json` or `tracks.csv`."""
    worker = State.of(request).videos
    job = _found(worker, name)
    if file not in _TYPES:
        raise Problem("not-found", f"there is no such file: choose one of {', '.join(_TYPES)}")
    folder = worker.store.results(job)
    if job.state != "done" or folder is None:
        raise Problem("conflict", f"this video is {job.state}: its files are there once it is done")
    return FileResponse(folder / file, media_type=_TYPES[file], filename=file)


def _found(worker: Worker, name: str) -> Job:
    job = worker.store.read(name)
    if job is None:
        raise Problem(
            "not-found",
            "there is no such video, or it was deleted, as results are after some hours: send it again",
        )
    return job


def describe(worker: Worker, job: Job) -> JobDocument:
    """Describes a job to clients."""
    done, total = worker.progress(job)
    files = {file: f"{router.prefix}/{job.id}/{file}" for file in _TYPES} if job.state == "done" else {}
    return JobDocument(
        id=job.id,
        state=job.state,
        done=done,
        total=total,
        operating_point=job.operating_point,
        created=job.created,
        finished=job.finished,
        objects=job.objects,
        error=job.error,
        files=files,
    )
