"""The composition of outlier-exposure scenes, as a part of recipes."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from oodseg.synth.mix import Mix

_SHARES: dict[str, Any] = {
    each.name: (Annotated[float, Field(ge=0, le=1)], each.default) for each in fields(Mix)
}


class MixRecipe(create_model("_Shares", __config__=ConfigDict(extra="forbid"), **_SHARES)):  # type: ignore[misc]
    """The entries of `oodseg.synth.mix.Mix`, as a part of recipes."""

    def made(self) -> Mix:
        """Returns the mix that these entries describe."""
        return Mix(**self.model_dump())
