"""oodseg finds every object a street-scene model was never taught, and draws its outline.

from oodseg import S2M

s2m = S2M.from_pretrained("street")
prediction = s2m("street.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oodseg.core.version import __version__

if TYPE_CHECKING:
    from oodseg.core.prediction import OodObject, Prediction
    from oodseg.pipeline import S2M

__all__ = ["S2M", "OodObject", "Prediction", "__version__"]

# Looked up when first used: numpy and torch take seconds to import, which `oodseg --help` has no use for.
_HOMES = {
    "S2M": "oodseg.pipeline",
    "OodObject": "oodseg.core.prediction",
    "Prediction": "oodseg.core.prediction",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'oodseg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
