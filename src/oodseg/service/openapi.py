"""The OpenAPI document beyond the routes: bodies and problems."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from oodseg.service.problems import MEDIA_TYPE
from oodseg.service.schemas import ProblemDocument

_STATUSES = {
    400: "The request cannot be read",
    401: "A key is needed",
    404: "There is none of that name, or not any more",
    406: "Neither JSON nor PNG is accepted",
    408: "The body came too slowly",
    409: "It is not done",
    413: "Too many bytes or pixels",
    415: "No image or video that can be read",
    422: "An image or video that cannot be used, or a parameter with no such value",
    429: "Too many requests of one client at once",
    503: "Busy, not ready, or out of time: try again after `Retry-After` seconds",
}


_NOT_EVERYWHERE = frozenset({404, 409})


def responses(*media: str, also: Collection[int] = ()) -> dict[int | str, dict[str, Any]]:
    """The responses of a route: other media types of its answer, the usual problems and those in `also`."""
    schema = ProblemDocument.model_json_schema()
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, text in _STATUSES.items()
        if status not in _NOT_EVERYWHERE or status in also
    }
    if media:
        found[200] = {"content": {each: {"schema": {"type": "string", "format": "binary"}} for each in media}}
    return found


def _body(field: str, kind: str) -> dict[str, Any]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    form = {"type": "object", "required": [field], "properties": {field: raw["schema"]}}
    content = {"multipart/form-data": {"schema": form}, kind: raw, "application/octet-stream": raw}
    return {"requestBody": {"required": True, "content": content}}


IMAGE_BODY = _body("image", "image/*")
VIDEO_BODY = _body("video", "video/*")
