"""Errors as clients read them: problem details in JSON (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from oodseg.core.errors import ConfigError, DeviceError, OodsegError
from oodseg.io.formats import UnknownFormatError
from oodseg.io.uploads import TooManyPixelsError
from oodseg.service.logs import current_request

MEDIA_TYPE = "application/problem+json"
# The documentation says under these headings what to do.
_ABOUT = "https://github.com/oodseg/oodseg/blob/main/docs/how-to/serve.md#"

TITLES = {
    "bad-request": "The request cannot be read",
    "unauthorized": "A key is needed",
    "not-found": "There is no such thing here",
    "not-allowed": "This cannot be done with it",
    "not-acceptable": "There is no such form of the result",
    "too-slow": "The request came too slowly",
    "conflict": "It is not ready",
    "too-large": "The request is too large",
    "unsupported-type": "This is no image or video that can be read",
    "unusable-input": "The image or video cannot be used",
    "invalid-parameter": "A parameter has no such value",
    "too-many-requests": "Too many requests of one client at once",
    "internal-error": "The service made a mistake",
    "overloaded": "The service is busy",
    "out-of-time": "The answer took too long",
    "not-ready": "The service is not ready",
    "no-models": "The service has no models to answer with",
}
_STATUS = {
    "bad-request": 400,
    "unauthorized": 401,
    "not-found": 404,
    "not-allowed": 405,
    "not-acceptable": 406,
    "too-slow": 408,
    "conflict": 409,
    "too-large": 413,
    "unsupported-type": 415,
    "unusable-input": 422,
    "invalid-parameter": 422,
    "too-many-requests": 429,
    "internal-error": 500,
    "overloaded": 503,
    "out-of-time": 503,
    "not-ready": 503,
    "no-models": 503,
}
_RETRY = {"too-many-requests": 1, "overloaded": 2, "out-of-time": 5, "not-ready": 2}  # seconds


class Problem(Exception):
    """Why a request was not answered.

    Args:
        kind: A key of `TITLES`.
        detail: One sentence for people: the fault and the remedy.
        headers: Further headers of the response.
    """

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.headers = kind, detail, dict(headers or {})

    @property
    def status(self) -> int:
        """HTTP status code."""
        return _STATUS[self.kind]

    def document(self) -> dict[str, Any]:
        """The problem as RFC 9457 has it, with `request_id` beside."""
        return {
            "type": _ABOUT + self.kind,
            "title": TITLES[self.kind],
            "status": self.status,
            "detail": self.detail,
            "request_id": current_request(),
        }

    def response(self) -> Response:
        """The response that tells the client."""
        headers = dict(self.headers)
        if self.kind in _RETRY:
            headers.setdefault("Retry-After", str(_RETRY[self.kind]))
        if self.status in {408, 413}:  # what is left of the body is not read
            headers["Connection"] = "close"
        return JSONResponse(self.document(), self.status, headers, MEDIA_TYPE)


def problem_of(error: OodsegError) -> Problem:
    """Says in HTTP's terms what the library found wrong with an input."""
    kind = "unusable-input"
    if isinstance(error, TooManyPixelsError):
        kind = "too-large"
    elif isinstance(error, UnknownFormatError):
        kind = "unsupported-type"
    elif isinstance(error, DeviceError):
        kind = "internal-error"
    elif isinstance(error, ConfigError):
        kind = "invalid-parameter"
    detail = str(error)
    if isinstance(error, UnknownFormatError) and error.is_video:  # who asks has no command line
        detail = f"{error.name} is a video: send it to /v1/jobs, or save its frames as images"
    return Problem(kind, detail)


def add_handlers(app: FastAPI) -> None:
    """Makes every error of an app a problem document."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(OodsegError)
    async def _fault(_: Request, error: OodsegError) -> Response:
        return problem_of(error).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return Problem("invalid-parameter", f"{where}: {first['msg']}").response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code in {404, 405}:
            return _unmatched(request, error.status_code).response()
        kinds = {status: kind for kind, status in _STATUS.items() if kind != "invalid-parameter"}
        kind = kinds.get(error.status_code, "bad-request")
        return Problem(kind, str(error.detail), error.headers).response()


def _unmatched(request: Request, status: int) -> Problem:
    """Tells a path that does not exist from one for other methods, which the files of the page hide."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed = [
        method
        for method in ("DELETE", "GET", "POST")
        if any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in routes)
    ]
    if not allowed and status == _STATUS["not-allowed"]:
        allowed = ["GET"]  # a file of the page
    if not allowed:
        return Problem("not-found", "there is no such path: /v1/openapi.json lists those that there are")
    listed = ", ".join(allowed)
    return Problem("not-allowed", f"{request.method} does nothing here: use {listed}", {"Allow": listed})
