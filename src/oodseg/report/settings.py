"""Words the settings of a run for the people who look through its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oodseg.core.spec import ROOMS


def name_part(part: Any) -> str:
    """Names a part as settings do: a word, or a mapping with its name."""
    return str(part["name"]) if isinstance(part, Mapping) else str(part)


def tell_choices(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lists what was chosen in place of a named pipeline's own, each as what it is and what was chosen.

    Args:
        settings: Of the run, as `oodseg.runs.loading` has them.
    """
    chosen: list[tuple[str, str]] = []
    if settings.get("scores"):
        chosen.append(("scores of", "files"))
    if "pipeline_sha256" in settings:  # of a pipeline in memory all parts are listed
        given = ((key, settings.get(key)) for key in ROOMS)
        chosen += [(key, name_part(each)) for key, each in given if each is not None]
    limits: Mapping[str, Any] = settings.get("limits") or {}
    least = limits.get("min_confidence")
    if least is not None:
        chosen.append(("confidence from", f"{least:g}"))
    elif settings.get("operating_point"):
        chosen.append(("operating point", str(settings["operating_point"])))
    if limits.get("min_area"):
        chosen.append(("objects from", f"{limits['min_area']} pixels"))
    if limits.get("max_objects") is not None:
        chosen.append(("objects per image at most", str(limits["max_objects"])))
    return chosen
