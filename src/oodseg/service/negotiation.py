"""Chooses between JSON and a picture by what a client accepts."""

from __future__ import annotations

from oodseg.service.problems import Problem

JSON, PNG = "application/json", "image/png"


def wants_picture(accept: str | None, view_named: bool) -> bool:
    """Tells whether a client wants PNG rather than JSON.

    Args:
        accept: Its `Accept`; None if it sent none.
        view_named: Whether it named a view, which decides where both are welcome alike.

    Raises:
        Problem: It accepts neither.
    """
    json, png = (_welcome(accept or "*/*", kind) for kind in (JSON, PNG))
    if json == png == 0:
        raise Problem("not-acceptable", f"results come as {JSON} or {PNG}: accept one of them")
    return view_named if json == png else png > json


def _welcome(accept: str, kind: str) -> float:
    """The quality that `Accept` gives a media type, 0 for none (RFC 9110, 12.5.1)."""
    family = kind.partition("/")[0] + "/*"
    best = -1, 0.0  # how precisely it is named, and how welcome it is
    for part in accept.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        if name in {kind, family, "*/*"}:
            best = max(best, ({kind: 2, family: 1}.get(name, 0), _quality(parameters)))
    return best[1]


def _quality(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return min(1.0, max(0.0, float(each[2:])))
            except ValueError:
                return 0.0
    return 1.0
