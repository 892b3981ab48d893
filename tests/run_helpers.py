"""Images that can be used and images that cannot, and what a run must have left on disk."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from oodseg.pipeline import S2M
from redness import HEIGHT, WIDTH, save_street

BOX = (20, 30, 60, 70)


def save_photos(folder, count=3):
    """`1.png`, `2.png`, ... each with the same red box."""
    for number in range(1, count + 1):
        save_street(folder / f"{number}.png", BOX)
    return folder


def coco_of(out):
    return json.loads((out / "predictions.json").read_text())


def assert_sentence(result, code, *words):
    """One clear sentence, the right exit code, no traceback."""
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    for word in words:
        assert str(word) in result.output, result.output


def assert_whole(out):
    """Every file can be read to its end, and nothing else lies about."""
    for path in out.rglob("*"):
        if path.is_dir():
            continue
        assert not path.name.startswith("."), path
        assert path.suffix in {".png", ".jpg", ".npy", ".json", ".csv", ".html"}
        if path.suffix in {".png", ".jpg"}:
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None
        elif path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>")


def count_calls(monkeypatch):
    """Counts how many images the pipeline is asked for."""
    calls = []
    original = S2M.__call__

    def counting(self, image, *args, **kwargs):
        calls.append(image)
        return original(self, image, *args, **kwargs)

    monkeypatch.setattr(S2M, "__call__", counting)
    return calls


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def spoil(path: Path, how: str) -> str:
    """Makes a broken image; returns a word that its message must hold."""
    if how == "zero bytes":
        path.write_bytes(b"")
        return "empty"
    if how == "text":
        path.write_text("this is no image\n" * 50)
        return "not an image"
    if how == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        data = cv2.imencode(".jpg", noise)[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
        return "truncated or damaged"
    if how == "1x1":
        cv2.imwrite(str(path), np.zeros((1, 1, 3), np.uint8))
        return "too small (1x1"
    if how == "20000x20000":
        path.write_bytes(png_header(20_000, 20_000))
        return "too large (20000x20000"
    path.symlink_to(path.with_name("gone.jpg"))
    return "where no file is"
