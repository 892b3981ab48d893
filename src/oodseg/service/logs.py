"""Structured logs: one JSON object a line, each with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from uuid import uuid4

LOGGER = logging.getLogger("oodseg.service")
_request: ContextVar[str | None] = ContextVar("request_id", default=None)
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def current_request() -> str | None:
    """The id of the request that is being answered; None outside of one."""
    return _request.get()


def enter_request(given: str | None) -> str:
    """Begins a request: takes the id that the client gave, if it is harmless, or makes one."""
    chosen = given if given is not None and _SAFE.fullmatch(given) else uuid4().hex
    _request.set(chosen)
    return chosen


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, message, request_id and its `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request(),
            **record.__dict__.get("facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None})


def log(message: str, level: int = logging.INFO, **facts: object) -> None:
    """Writes a line with facts beside the message; within `except`, level ERROR adds the traceback."""
    error = sys.exc_info()[0] is not None and level >= logging.ERROR
    LOGGER.log(level, message, extra={"facts": facts}, exc_info=error)


def set_up_logs(level: str) -> None:
    """Sends the lines of the service and of uvicorn to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("oodseg.service", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    # A line of ours says more than uvicorn's.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
