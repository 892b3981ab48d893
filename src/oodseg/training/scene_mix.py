"""The composition of outlier-exposure scenes, as a part of recipes."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from oodseg.synth.mix import Mix

_SHARE: Any = Annotated[float, Field(ge=0, le=1)]
_SHARES: dict[str, Any] = {
    each.name: (Annotated[float, Field(ge=0, le=1)], each.default)
    if isinstance(each.default, float)
    else (list[str], Field(default_factory=list))
    for each in fields(Mix)
}


_MINED = ("more_objects", "more_negatives", "mined", "rejected")


class MixRecipe(create_model("_Shares", __config__=ConfigDict(extra="forbid"), **_SHARES)):  # type: ignore[misc]
    """The entries of `oodseg.synth.mix.Mix`, as a part of recipes."""

    def made(self) -> Mix:
        """Returns the mix that these entries describe."""
        found: dict[str, Any] = self.model_dump()
        lists = {name: tuple(each) for name, each in found.items() if isinstance(each, list)}
        return Mix(**{**found, **lists})

    def composition(self) -> dict[str, Any]:
        """Returns what scenes are composed by; without entries for things that there are none of.

        By it is told whether scenes that were made before still hold.
        """
        found: dict[str, Any] = self.model_dump(mode="json")
        if not (found["more_objects"] or found["more_negatives"]):
            for name in _MINED:
                del found[name]
        if not found["odd_vehicles"]:
            del found["odd_vehicles"]
        return found
