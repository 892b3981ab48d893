"""The middleware of every request: an id, the key, the time limit, and a net for unforeseen errors."""

from __future__ import annotations

import logging
import time
from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from oodseg.service.logs import enter_request, log
from oodseg.service.meter import Meter
from oodseg.service.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from oodseg.service.settings import Settings

_OPEN = ("/healthz", "/readyz")  # what checks the health of a service has no key
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}


class Gate:
    """Wraps an app: ids, key, log lines, counters, and errors that nobody foresaw as problems.

    Args:
        app: What answers.
        settings: Of the service.
        meter: Is told of every request.
    """

    def __init__(self, app: ASGIApp, settings: Settings, meter: Meter) -> None:
        self._app, self._meter = app, meter
        key = settings.api_key
        self._key = None if key is None else key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        headers = Headers(scope=scope)
        request_id = enter_request(headers.get("x-request-id"))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = MutableHeaders(scope=message)
                added["X-Request-ID"] = request_id
                for name, value in _SECURITY.items():
                    added.setdefault(name, value)
            await send(message)

        try:
            if self._allowed(scope["path"], scope["method"], headers):
                await self._app(scope, receive, answer)
            else:
                detail = "send the key of this service as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
                problem = Problem("unauthorized", detail, {"WWW-Authenticate": "Bearer"})
                await problem.response()(scope, receive, answer)
        except ClientDisconnect:
            status = status or 499
        except Exception:
            log("request failed", logging.ERROR)
            if not status:
                detail = "this is a fault of the service: report it with the request_id"
                await Problem("internal-error", detail).response()(scope, receive, answer)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _allowed(self, path: str, method: str, headers: Headers) -> bool:
        """Tells whether a request has the key, or needs none: the page itself, and health checks."""
        guarded = path.startswith("/v1") or path == "/metrics"
        if self._key is None or not guarded or path in _OPEN or method == "OPTIONS":
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        brought = token if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return compare_digest(brought.strip().encode(), self._key)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The template of the route: paths as they come would be counters without end.
        found = scope.get("route")
        route = found.path if isinstance(found, Route) else "other"
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST", "DELETE"} else "other"
        self._meter.requests.labels(route, method, str(status)).inc()
        self._meter.seconds.labels(route).observe(seconds)
        quiet = route in {"/healthz", "/readyz", "/metrics"} and status < 400
        log(
            "request",
            logging.DEBUG if quiet else logging.INFO,
            method=method,
            path=scope["path"][:200],
            status=status,
            milliseconds=round(1000 * seconds, 1),
            client=scope["client"][0] if scope.get("client") else None,
        )
