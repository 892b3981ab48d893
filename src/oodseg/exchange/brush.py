"""Label Studio's run lengths of brush strokes: a stream of bits, as thi.ng's `rle-pack` defines it.

32 bits: number of values; 5 bits: bits of a value, less 1; 4 times 4 bits: the sizes that a length can have,
less 1. Then, for every run: 1 bit: whether one value repeats; 2 bits: which size the length has; the length
less 1; the value, or each of the values. A brush holds four values a pixel, RGBA, of which the last counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORD, _SIZES = 8, (3, 4, 8, 16)
_CHANNELS = 4
_OPAQUE = 128  # edges of a stroke are soft: half covered is covered


def encode(mask: NDArray[np.bool_]) -> list[int]:
    """Encodes a mask, bool `[H, W]`, as bytes: 255 in all four channels where it is set."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.append(starts, flat.size)) * _CHANNELS
    bits = [f"{flat.size * _CHANNELS:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "1" * _WORD if flat[start] else "0" * _WORD
        whole, rest = divmod(length, 1 << _SIZES[-1])
        bits += [_run(1 << _SIZES[-1], value)] * whole + ([_run(rest, value)] if rest else [])
    text = "".join(bits)
    packed = np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0"))
    return [int(byte) for byte in packed]


def decode(packed: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Decodes what `encode`, or Label Studio, wrote.

    Raises:
        ValueError: The stream ends early, or holds an image of another size.
    """
    bits = np.unpackbits(np.asarray(packed, np.uint8))
    stream = _Bits(bits)
    count, word = stream.number(32), stream.number(5) + 1
    sizes = [stream.number(4) + 1 for _ in range(4)]
    if count != height * width * _CHANNELS or word > _WORD:
        raise ValueError(f"a brush holds {count} values of {word} bits, not {width}x{height} pixels of RGBA")
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        repeats = stream.number(1)
        end = done + 1 + stream.number(sizes[stream.number(2)])
        values[done:end] = stream.number(word) if repeats else stream.numbers(word, min(end, count) - done)
        done = end
    opaque: NDArray[np.bool_] = values.reshape(height, width, _CHANNELS)[:, :, -1] >= _OPAQUE
    return opaque


def _run(length: int, value: str) -> str:
    index = next(index for index, size in enumerate(_SIZES) if length <= 1 << size)
    return f"1{index:02b}{length - 1:0{_SIZES[index]}b}{value}"


class _Bits:
    """Reads numbers from bits, the highest first."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits, self._next = bits, 0

    def number(self, size: int) -> int:
        return int(self.numbers(size, 1)[0])

    def numbers(self, size: int, count: int) -> NDArray[np.int64]:
        """The next numbers of `size` bits each, int64 `[count]`."""
        end = self._next + size * count
        if end > len(self._bits):
            raise ValueError("a brush ends before its last pixel")
        taken = self._bits[self._next : end].reshape(count, size)
        self._next = end
        return np.asarray(taken @ (1 << np.arange(size - 1, -1, -1, dtype=np.int64)), np.int64)
