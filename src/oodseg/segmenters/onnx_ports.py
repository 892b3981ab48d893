"""Inputs and outputs of an ONNX file, as the file describes them and a first run on noise shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import ConfigError
from oodseg.nn.onnx_session import fixed_sides, float_type, listed

# Outputs of a mask classifier, as transformers names them.
QUERIES = ("class_queries_logits", "masks_queries_logits")
_LOGITS = ("logits", "out")  # of transformers and of torchvision
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")

Values = NDArray[Any]


@dataclass(frozen=True)
class ImageInput:
    """The way in which a file takes images.

    Attributes:
        name: Of the input.
        dtype: float16, float32 or float64; uint8 for pixels in 0..255.
        layout: `"NCHW"` or `"NHWC"`.
        batched: Whether it has an axis for the batch.
        batch: Images at a time; None for any number.
        size: Height and width; None for any.
    """

    name: str
    dtype: type[np.generic]
    layout: str
    batched: bool
    batch: int | None
    size: tuple[int | None, int | None]

    def feed(self, images: Values) -> dict[str, Values]:
        """Returns what the session takes for images `[B, 3, H, W]`."""
        moved = images if self.layout == "NCHW" else images.transpose(0, 2, 3, 1)
        ready = np.ascontiguousarray(moved, dtype=self.dtype)
        return {self.name: ready if self.batched else ready[0]}


def possible_inputs(session: Any, source: str, layout: str | None) -> list[ImageInput]:
    """Lists how a file may take images: one way, or two where it leaves open which axis holds the colours.

    Args:
        session: Of the file.
        source: Its name in errors.
        layout: `"NCHW"` or `"NHWC"` if that is known.

    Raises:
        ConfigError: It takes no images, or more than those.
    """
    ports = session.get_inputs()
    if len(ports) != 1:
        raise ConfigError(
            f"{source} takes {len(ports)} inputs ({listed(ports)}): export the network with the image as "
            "its only input"
        )
    port = ports[0]
    shape = fixed_sides(port)
    if len(shape) not in {3, 4} or port.type not in {*_FLOATS, "tensor(uint8)"}:
        raise ConfigError(
            f"{source} takes {listed(ports)}: export a network that takes images [B, 3, H, W] or "
            "[B, H, W, 3], as float or uint8"
        )
    batched = len(shape) == 4
    batch, sides = (shape[0], shape[1:]) if batched else (1, shape)
    dtype: type[np.generic] = np.uint8 if port.type == "tensor(uint8)" else float_type(port)
    axes = {"NCHW": (0, 1, 2), "NHWC": (2, 0, 1)}
    named = [each for each, (colours, *_) in axes.items() if sides[colours] == 3]
    open_ones = [each for each, (colours, *_) in axes.items() if sides[colours] is None]
    ways = [each for each in named or open_ones if layout in {None, each}]
    if not ways:
        wanted = f" in the layout {layout}" if layout else ""
        raise ConfigError(
            f"{source} takes {listed(ports)}, which are not colour images{wanted}: export a network that "
            "takes images [B, 3, H, W] or [B, H, W, 3]"
        )
    return [
        ImageInput(port.name, dtype, each, batched, batch, (sides[axes[each][1]], sides[axes[each][2]]))
        for each in ways
    ]


def probe(way: ImageInput, side: int, run: Callable[[ImageInput, Values], list[Values]]) -> list[Any]:
    """Runs a file on noise, where it lets us at two sizes, neither of them square.

    Args:
        way: How it takes images.
        side: Height of the first size, where the file leaves that open.
        run: Takes images `[B, 3, H, W]`, normalised or in 0..255.

    Returns:
        Of every run height and width, and the outputs.

    Raises:
        ConfigError: It cannot even take the first one.
    """
    wide = side * 3 // 2
    sizes = [(way.size[0] or side, way.size[1] or wide), (way.size[0] or wide, way.size[1] or side)]
    found: list[Any] = []
    for size in dict.fromkeys(sizes):
        try:
            found.append((size, run(way, noise(way, size))))
        except ConfigError:
            if not found:
                raise
    return found


def noise(way: ImageInput, size: Sequence[int], seed: int = 0) -> Values:
    """Makes images of noise `[B, 3, H, W]`, as a file takes them; always the same ones."""
    rng, shape = np.random.default_rng(seed), (way.batch or 1, 3, *size)
    return rng.integers(0, 256, shape) if way.dtype is np.uint8 else rng.normal(size=shape)


def changed_noise(way: ImageInput, size: Sequence[int]) -> Values:
    """Makes the same noise with another lower right quarter."""
    images, (height, width) = noise(way, size), (each // 2 for each in size)
    images[:, :, height:, width:] = noise(way, size, 1)[:, :, height:, width:]
    return images


def choose_output(session: Any, outputs: Sequence[Values], source: str, wanted: str | None) -> list[int]:
    """Chooses the output that holds logits: one that can be no other, or the one that is named.

    Args:
        session: Of the file.
        outputs: What it gave for one batch.
        source: Its name in errors.
        wanted: Name of the output; None to choose.

    Returns:
        Its index; of a mask classifier that of the classes of its queries, and that of their masks.

    Raises:
        ConfigError: None holds logits, or more than one may.
    """
    ports = session.get_outputs()
    names = [each.name for each in ports]
    if wanted is not None:
        if wanted not in names:
            raise ConfigError(f"{source} has no output {wanted!r}; it has: {', '.join(names)}")
        return [names.index(wanted)]
    if all(each in names for each in QUERIES):
        return [names.index(each) for each in QUERIES]
    able = [index for index, each in enumerate(outputs) if each.dtype.kind == "f" and could_be_logits(each)]
    if len(able) > 1:
        able = [index for index in able if names[index] in _LOGITS] or able
    if len(able) == 1 and not _masks_of_queries(outputs, able[0]):
        return able
    given = "; ".join(
        f"'{name}' ({each.dtype} {list(each.shape)})" for name, each in zip(names, outputs, strict=True)
    )
    if not able:
        raise ConfigError(
            f"{source} gives {given} instead of logits [B, C, h, w] of two or more classes: export the "
            "network without its argmax"
        )
    raise ConfigError(
        f"{source} gives {given}, of which more than one reading is possible: say which one holds the logits "
        "of the classes with `output: NAME`"
    )


def could_be_logits(values: Values) -> bool:
    """Tells whether an output has the axes of logits; that of the batch may be missing for one image."""
    return values.ndim == 4 or (values.ndim == 3 and values.shape[0] != 1)


def _masks_of_queries(outputs: Sequence[Values], index: int) -> bool:
    """Tells masks of queries: as many as there are rows in another output of rank three."""
    masks = outputs[index]
    return masks.ndim == 4 and any(
        each.ndim == 3 and each.shape[:2] == masks.shape[:2] for at, each in enumerate(outputs) if at != index
    )
