"""Makes requests that bring no usable image, each decided by its number, for `benchmarks/service.py`."""

from __future__ import annotations

import random
import struct
import zlib


def malformed_upload(number: int, image: bytes) -> tuple[str, bytes]:
    """Makes a request.

    Args:
        number: Decides everything.
        image: A good JPEG, to be spoilt.

    Returns:
        What is wrong with it, and its bytes; one that is slow is only half of what it says.
    """
    chance = random.Random(number)
    if number % 100 == 99:  # few: each takes the time that the service is patient
        return "slow sender", chance.choice((slow_head, slow_body))(chance, image)
    kind, make = chance.choice(
        (
            ("truncated", truncated),
            ("other type", other_type),
            ("bomb", bomb),
            ("broken form", broken_form),
            ("fuzzed headers", fuzzed_headers),
        )
    )
    return kind, make(chance, image)


def request(body: bytes, kind: str = "image/jpeg", *more: str) -> bytes:
    """A whole request for a prediction."""
    lines = ["POST /v1/predict HTTP/1.1", "Host: x", f"Content-Type: {kind}", *more, "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def truncated(chance: random.Random, image: bytes) -> bytes:
    """An image that ends too early."""
    return request(image[: chance.randrange(len(image) * 9 // 10)])


def other_type(chance: random.Random, image: bytes) -> bytes:
    """Something else than an image, under a true name or a wrong one."""
    body = chance.choice(
        (b"", b"text\n" * 99, b"%PDF-1.7\n" * 9, b"PK\3\4" + bytes(99), b"<svg/>", chance.randbytes(999))
    )
    return request(body, chance.choice(("image/jpeg", "text/plain", "application/json", "video/mp4")))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(chance: random.Random, image: bytes) -> bytes:
    """Few bytes that would be very many pixels, or a few pixels with far too many bytes behind them."""
    if chance.random() < 0.5:
        width, height, data = chance.randrange(8_000, 2**31), chance.randrange(8_000, 2**31), bytes(9)
    else:
        width, height, data = 7, 7, bytes(5_000_000)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data, 1)) + chunk(b"IEND", b"")
    return request(body, "image/png")


def broken_form(chance: random.Random, image: bytes) -> bytes:
    """A form that names other fields, breaks off, or is none."""
    name = chance.choice(("picture", "", "../../etc/passwd", "\0", "image"))
    body = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
    body += image[: chance.randrange(200)] + chance.choice((b"", b"\r\n--b--", b"\r\n--b\r\n", b"--x"))
    return request(body, chance.choice(("multipart/form-data; boundary=b", "multipart/form-data")))


def fuzzed_headers(chance: random.Random, image: bytes) -> bytes:
    """A request in whose head some bytes are others."""
    head = bytearray(request(b"", "image/jpeg", "X-Request-ID: 1", "Accept: image/png"))
    for _ in range(chance.randrange(1, 6)):
        head[chance.randrange(len(head) - 4)] = chance.randrange(256)
    more = (
        b"",
        b"Content-Length: -1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"X: " + b"a" * 100_000,
    )
    return bytes(head[:-2]) + chance.choice(more) + b"\r\n\r\n"


def slow_head(chance: random.Random, image: bytes) -> bytes:
    """Half of the headers."""
    return request(image)[: chance.randrange(1, 40)]


def slow_body(chance: random.Random, image: bytes) -> bytes:
    """Half of the body."""
    whole = request(image)
    return whole[: len(whole) - chance.randrange(1, len(image))]
