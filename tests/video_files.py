"""Small videos with a red box that moves, encoded by PyAV itself."""

from fractions import Fraction

import av
import numpy as np

from redness import street

HEIGHT, WIDTH, RATE = 96, 128, 10
UPRIGHT_PHONE = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
"""The display matrix that phones write when they are held upright."""


def box_at(number, side=24):
    """Where the box is in a frame."""
    return 4 + 3 * number, 30, 4 + 3 * number + side, 30 + side


def images(count, hidden=()):
    """Frames of a grey street on which a red box moves to the right; in `hidden` ones it is missing."""
    return [street(*([] if number in hidden else [box_at(number)])) for number in range(count)]


def save_video(path, frames, *, codec="libx264", times=None, matrix=None, options=None, aspect=None):
    """Encodes uint8 `[H, W, 3]` frames; `times` in seconds, by default a tenth of a second apart.

    `aspect` is that of a pixel, width by height.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        base = Fraction(1, RATE if times is None else 1000)
        stream.codec_context.time_base = base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number if times is None else round(1000 * times[number]), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def noise(count, height=HEIGHT, width=WIDTH):
    """Frames that take many bytes, so that half a file holds whole frames."""
    whole = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [np.roll(whole, 2 * number, axis=1) for number in range(count)]


def times_of(path):
    """Times of all frames, read by PyAV alone."""
    with av.open(str(path)) as container:
        return [round(frame.time, 3) for frame in container.decode(video=0)]
