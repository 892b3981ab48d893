"""Converts between ROS messages and pictures; needs no ROS.

Messages come in as objects with the fields of their definition and go out as dictionaries of these fields,
which `rosidl_runtime_py.set_message_fields` writes into a message.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oodseg import ImageError, Prediction

CLASS = "unknown"

# Encoding of sensor_msgs/Image: bytes per pixel, and OpenCV's conversion to RGB (None: it is RGB).
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "mono16": (2, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
}


def header_of(message: Any) -> dict[str, Any]:
    """Gives the `std_msgs/Header` of a message as fields."""
    stamp = message.header.stamp
    return {
        "stamp": {"sec": stamp.sec, "nanosec": stamp.nanosec},
        "frame_id": message.header.frame_id,
    }


def to_pixels(message: Any) -> NDArray[np.uint8]:
    """Decodes a `sensor_msgs/Image`.

    Args:
        message: With `height`, `width`, `encoding`, `step` (bytes per row, padding included), `is_bigendian`
            and `data`.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: An encoding that is not known, or data of another size than the fields say.
    """
    height, width, step = message.height, message.width, message.step
    if message.encoding not in _ENCODINGS:
        known = ", ".join(_ENCODINGS)
        raise ImageError(
            f"images of encoding '{message.encoding}' are not understood; convert to one of {known}"
        )
    depth, conversion = _ENCODINGS[message.encoding]
    data = np.frombuffer(message.data, np.uint8)
    if not height or step < width * depth or data.size < height * step or not width:
        raise ImageError(
            f"an image of {width}x{height} in {message.encoding} cannot have {step} bytes per row and "
            f"{data.size} in all: the driver fills the message wrongly"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * depth]
    pixels = np.ascontiguousarray(rows).reshape(height, width, depth)
    if message.encoding == "mono16":
        pixels = pixels[:, :, 0 if message.is_bigendian else 1]  # the higher byte
    if conversion is None:
        return pixels
    if message.encoding.startswith(("uyvy", "yuyv", "yuv422")) and width % 2:
        raise ImageError(f"images in {message.encoding} have an even width, not {width}")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def decode_compressed(message: Any) -> NDArray[np.uint8]:
    """Decodes a `sensor_msgs/CompressedImage` (JPEG, PNG and what else OpenCV reads).

    Args:
        message: With `format` and `data`.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Raises:
        ImageError: The data is no such image.
    """
    data = np.frombuffer(message.data, np.uint8)
    # The camera delivers pixels as they are; a note on rotation is for viewers of photographs.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None:
        raise ImageError(f"{data.size} bytes of format '{message.format}' are no image that OpenCV reads")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def mask_image(prediction: Prediction, header: dict[str, Any]) -> dict[str, Any]:
    """Gives the fields of a `sensor_msgs/Image`, `mono8`: 255 where an unknown object is, else 0."""
    return {
        "header": header,
        "height": prediction.height,
        "width": prediction.width,
        "encoding": "mono8",
        "is_bigendian": 0,
        "step": prediction.width,
        "data": (prediction.mask.astype(np.uint8) * np.uint8(255)).tobytes(),
    }


def detections(prediction: Prediction, header: dict[str, Any]) -> dict[str, Any]:
    """Gives the fields of a `vision_msgs/Detection2DArray`, the most confident object first.

    Each has the tightest box around its mask, in pixels, one hypothesis of class `unknown` whose `score` is
    the confidence, and as `id` its rank from 1.
    """
    return {
        "header": header,
        "detections": [
            {
                "header": header,
                "id": str(rank),
                "bbox": _box(*found.bbox),
                "results": [{"hypothesis": {"class_id": CLASS, "score": found.confidence}}],
            }
            for rank, found in enumerate(prediction.objects, 1)
        ],
    }


def _box(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    centre = {"position": {"x": x + width / 2, "y": y + height / 2}, "theta": 0.0}
    return {"center": centre, "size_x": width, "size_y": height}
