"""Makes the row of an image: pure functions from bytes and a pipeline to a mapping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ImageError, OodsegError, ScoreMapError
from oodseg.core.fingerprint import hash_bytes
from oodseg.core.input_warnings import collect_warnings
from oodseg.io.images import decode_image
from oodseg.runs.fleet.schema import QUANTILES, STAGES

if TYPE_CHECKING:
    from oodseg.core.objects import OodObject
    from oodseg.core.prediction import Prediction

IMAGE, STORE, PIPELINE = "image", "store", "pipeline"
"""Kinds of errors; those of the last two are tried again by a rerun."""


@dataclass(frozen=True)
class Fetched:
    """The bytes of an image, or why they could not be fetched.

    Attributes:
        path: Where it lies.
        stamp: By which it is known again; None if that could not be found out.
        extra: Columns of the manifest.
        data: Its bytes; None for an error.
        error: Why there are none.
        milliseconds: How long that took.
    """

    path: str
    stamp: str | None
    extra: Mapping[str, Any]
    data: bytes | None = None
    error: str | None = None
    milliseconds: float = 0.0

    @property
    def id(self) -> str | None:
        """SHA-256 of the bytes."""
        return None if self.data is None else hash_bytes(self.data)


def fetch(path: str, stamp: str | None, extra: Mapping[str, Any], read: Callable[[str], bytes]) -> Fetched:
    """Reads the bytes of an image; whatever goes wrong becomes an error text.

    Args:
        path: Where it lies.
        stamp: See `Fetched`.
        extra: Likewise.
        read: Reads a location.
    """
    started = time.perf_counter()
    data, error = None, None
    try:
        data = read(path)
    except FileNotFoundError:
        error = f"{path} does not exist: check the path for typing errors"
    except Exception as raised:  # a library of a store may raise anything
        error = f"{path} could not be fetched ({type(raised).__name__}: {raised}): run the same command again"
    return Fetched(path, stamp, extra, data, error, (time.perf_counter() - started) * 1e3)


def decode(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decodes the bytes of an image file as `oodseg.io.images.read_image` does; uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: Empty, truncated, no image, or of a size that is refused.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): copy or download it again")
    return decode_image(data, name)


def predicted_row(fetched: Fetched, s2m: Callable[..., Prediction], model: str) -> dict[str, Any]:
    """Makes the row of an image.

    Args:
        fetched: Its bytes, or why there are none.
        s2m: Called with uint8 `[H, W, 3]`.
        model: Fingerprint of the pipeline.

    Returns:
        By column of `row_schema`; an image that cannot be used has an error text.

    Raises:
        OodsegError: The pipeline cannot be used at all.
    """
    row = _blank(fetched, model)
    if fetched.data is None:
        return row | {"error": fetched.error, "error_kind": STORE}
    started = time.perf_counter()
    with collect_warnings(forward=False) as warned:
        try:
            pixels = decode(fetched.data, fetched.path)
            row |= {"height": pixels.shape[0], "width": pixels.shape[1]}
            read = fetched.milliseconds + (time.perf_counter() - started) * 1e3
            found = s2m(pixels)
        except (ImageError, ScoreMapError) as error:
            return row | {"error": str(error), "error_kind": IMAGE, "warnings": list(warned)}
        except OodsegError:
            raise
        except Exception as error:  # one image must not end a run of millions
            fault = f"the pipeline failed on {fetched.path} ({type(error).__name__}: {error})"
            return row | {"error": fault, "error_kind": PIPELINE, "warnings": list(warned)}
    timings = {name: found.timings.get(name) for name in STAGES}
    timings["read"] = read + (timings["read"] or 0.0)
    timings["total"] = read + (timings["total"] or 0.0)
    return row | {
        "objects": [_object(each) for each in found.objects],
        "score": score_quantiles(found.score),
        "milliseconds": timings,
        "warnings": list(dict.fromkeys([*warned, *found.warnings])),
    }


def reused_row(fetched: Fetched, known: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the row of an image whose bytes have been seen elsewhere by the same pipeline.

    Args:
        fetched: Its bytes.
        known: The row that these bytes have already.
    """
    kept = ("width", "height", "objects", "score", "milliseconds", "warnings", "error", "error_kind")
    return _blank(fetched, str(known["model"])) | {name: known[name] for name in kept}


def score_quantiles(score: NDArray[np.float32] | None) -> dict[str, float] | None:
    """Sums up a normalised score map, float32 `[h, w]`: least, quantiles, highest."""
    if score is None:
        return None
    values = np.quantile(score, [0.0, *QUANTILES.values(), 1.0])
    return dict(zip(("min", *QUANTILES, "max"), values.tolist(), strict=True))


def _blank(fetched: Fetched, model: str) -> dict[str, Any]:
    nothing: Sequence[Any] = []
    return {
        "id": fetched.id,
        "path": fetched.path,
        "stamp": fetched.stamp,
        "model": model,
        "bytes": None if fetched.data is None else len(fetched.data),
        "width": None,
        "height": None,
        "objects": nothing,
        "score": None,
        "milliseconds": None,
        "warnings": nothing,
        "error": None,
        "error_kind": None,
        "time": datetime.now(UTC),
        **fetched.extra,
    }


def _object(found: OodObject) -> dict[str, Any]:
    return {
        "rle": found.rle,
        "bbox": found.bbox,
        "prompt_box": found.prompt_box,
        "area": found.area,
        "confidence": found.confidence,
    }
