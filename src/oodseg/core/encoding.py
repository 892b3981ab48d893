"""Encodes arrays as the bytes of files."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NumberFormat = Literal["png", "npy"]
ImageFormat = Literal["jpg", "png"]
_QUALITY = 92


def encode_png(values: NDArray[Any]) -> bytes:
    """Encodes uint8 `[H, W]` or `[H, W, 3]` (RGB), or uint16 `[H, W]`, as PNG."""
    import cv2

    _, data = cv2.imencode(".png", values[:, :, ::-1] if values.ndim == 3 else values)
    return bytes(data)


def encode_image(image: NDArray[np.uint8], as_format: ImageFormat) -> bytes:
    """Encodes uint8 `[H, W, 3]` (RGB) as JPEG or as PNG."""
    return encode_png(image) if as_format == "png" else encode_jpeg(image, _QUALITY)


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """Encodes uint8 `[H, W, 3]` (RGB) as JPEG of a quality in 0..100."""
    import cv2

    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def encode_numbers(
    values: NDArray[np.float32], as_format: NumberFormat, low: float = 0.0, high: float = 1.0
) -> bytes:
    """Encodes float32 `[H, W]` in `low..high` as 16-bit PNG (0..65535) or as it is, as `.npy`."""
    if as_format == "png":
        shares = ((values - low) / (high - low)).clip(0.0, 1.0)
        return encode_png(np.rint(shares * 65535.0).astype(np.uint16))
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
