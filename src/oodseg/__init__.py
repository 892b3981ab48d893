"""oodseg finds every object a street-scene model was never taught, and draws its outline.

from oodseg import S2M

s2m = S2M.from_pretrained("street")
prediction = s2m("street.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodseg.pipeline import S2M
    from oodseg.prediction import OodObject, Prediction

__version__ = "0.1.0"
__all__ = ["S2M", "OodObject", "Prediction", "__version__"]

# Looked up when first used: numpy and torch take seconds to import, which `oodseg --help` has no use for.
_HOMES = {"S2M": "oodseg.pipeline", "OodObject": "oodseg.prediction", "Prediction": "oodseg.prediction"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'oodseg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
