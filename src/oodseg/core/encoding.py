"""Encodes arrays as the bytes of files."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ConfidenceFormat = Literal["png", "npy"]


def encode_png(values: NDArray[Any]) -> bytes:
    """Encodes uint8 `[H, W]` or `[H, W, 3]` (RGB), or uint16 `[H, W]`, as PNG."""
    import cv2

    _, data = cv2.imencode(".png", values[:, :, ::-1] if values.ndim == 3 else values)
    return bytes(data)


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encodes uint8 `[H, W, 3]` (RGB) as JPEG of a quality in 0..100."""
    import cv2

    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def encode_confidence(confidence: NDArray[np.float32], as_format: ConfidenceFormat) -> bytes:
    """Encodes float32 `[H, W]` in 0..1 as 16-bit PNG (0..65535) or as `.npy`."""
    if as_format == "png":
        return encode_png(np.rint(confidence * 65535.0).astype(np.uint16))
    buffer = io.BytesIO()
    np.save(buffer, confidence, allow_pickle=False)
    return buffer.getvalue()
