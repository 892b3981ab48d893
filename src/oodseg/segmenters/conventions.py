"""Tells by what conventions a network of somebody else's gives its result, or that this cannot be told.

Networks differ in where the classes stand (`NCHW`: before the rows; `NHWC`: after the columns) and in what
they end with (`GIVES`). A wrong guess makes a plausible map of nonsense, so what is not certain stays unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation

LAYOUTS = ("NCHW", "NHWC")
# What a network may end with. Whatever says "softmax" leaves the logits known but for a constant per pixel.
GIVES = ("logits", "softmax", "log_softmax", "sigmoid")

Sides = tuple[int, ...]

_LEAST = 1e-12  # a probability below is nothing but rounding
_LOCAL = 0.8  # share of a change in the quarter where it was made
_EXACT, _HALF = 2e-3, 2e-2  # how far sums of rounded probabilities stay from one: float32, float16


def check_choice(option: str, value: str | None, known: Sequence[str]) -> None:
    """Checks an option that is None or one of a few words.

    Raises:
        ConfigError: It is neither.
    """
    if value is not None and value not in known:
        raise ConfigError(f"{option} must be one of {', '.join(known)}, not {value!r}")


def output_layout(seen: Sequence[tuple[Sides, Sides]], classes: int | None = None) -> str | None:
    """Finds where the classes stand in the results of a network.

    Rows and columns of a result cover the image, so they keep its proportions; the number of classes is the
    same at every size.

    Args:
        seen: Height and width of images, and the three sides of what the network made of one of them.
        classes: How many classes there are, if that is known.

    Returns:
        One of `LAYOUTS`; None where both or neither are possible.
    """
    names = {"NCHW": 0, "NHWC": 2}
    steady = {name: axis for name, axis in names.items() if len({sides[axis] for _, sides in seen}) == 1}
    if len(steady) == 1:
        return next(iter(steady))
    fits = [
        name
        for name, axis in steady.items()
        if all(_covers(_without(sides, axis), size) for size, sides in seen)
    ]
    if len(fits) == 1:
        return fits[0]
    if classes is not None:
        named = [name for name in fits or steady if seen[0][1][names[name]] == classes]
        return named[0] if len(named) == 1 else None
    if not fits:
        # A network that brings every image to one square of its own.
        fits = [name for name, axis in steady.items() if all(_square(sides, axis) for _, sides in seen)]
    return fits[0] if len(fits) == 1 else None


def _without(sides: Sides, axis: int) -> Sides:
    return (*sides[:axis], *sides[axis + 1 :])


def _square(sides: Sides, axis: int) -> bool:
    height, width = _without(sides, axis)
    return height == width != sides[axis]


def _covers(sides: Sides, size: Sides) -> bool:
    """Tells whether one stride, always rounded up or always down, leads from the image to these sides."""
    pairs = list(zip(sides, size, strict=True))
    exact = [full / side for side, full in pairs]
    down = max(full / (side + 1) for side, full in pairs) < min(exact)
    up = max(exact) < min(full / (side - 1) if side > 1 else float("inf") for side, full in pairs)
    return down or up


def layout_of_change(before: Tensor, after: Tensor) -> str | None:
    """Finds where the classes stand by what changes in a result where its image changed.

    Args:
        before: What a network gave for one image, float `[., ., .]`.
        after: The same after a change of the image's lower right quarter: that is where the result changes.

    Returns:
        One of `LAYOUTS`; None if the change spreads too far to tell.
    """
    change = (after.float() - before.float()).abs()
    quarters = {
        "NCHW": change[:, change.shape[1] // 2 :, change.shape[2] // 2 :],
        "NHWC": change[change.shape[0] // 2 :, change.shape[1] // 2 :],
    }
    inside = [name for name, each in quarters.items() if each.sum() > _LOCAL * change.sum()]
    return inside[0] if len(inside) == 1 else None


def kind_of(values: Tensor) -> str | None:
    """Tells what a network ends with by what it makes of an image.

    Args:
        values: Float `[B, C, h, w]`.

    Returns:
        One of `GIVES`; `"one_hot"` or `"labels"` where there are whole numbers alone, as after an argmax;
        None for values between 0 and 1 that do not sum to one: a sigmoid's, or logits that are small.
    """
    found = values.detach().float()
    near = _HALF if values.dtype in {torch.float16, torch.bfloat16} else _EXACT
    if not found.numel() or not torch.isfinite(found).all():
        return "logits"
    low, high = found.aminmax()
    if bool((found == found.round()).all()) and high > low:
        return "one_hot" if low >= 0 and _is_one(found.sum(1), near) else "labels"
    if low >= 0 and high <= 1 + near:
        # One and the same value everywhere says nothing, but for that of equal probabilities.
        return "softmax" if _is_one(found.sum(1), near) else (None if high > low else "logits")
    if high <= near and _is_one(found.exp().sum(1), near):
        return "log_softmax"
    return "logits"


def _is_one(sums: Tensor, near: float) -> bool:
    return bool(((sums - 1).abs() <= near).all())


def as_segmentation(values: Tensor, gives: str) -> Segmentation:
    """Brings what a network gives to logits.

    Args:
        values: Float `[B, C, h, w]`.
        gives: One of `GIVES`.
    """
    if gives == "softmax":
        return Segmentation(values.float().clamp_min(_LEAST).log(), relative=True)
    if gives == "sigmoid":
        return Segmentation(torch.logit(values.float(), 1e-6))
    return Segmentation(values, relative=gives == "log_softmax")


def nchw(values: Tensor, layout: str) -> Tensor:
    """Moves the classes of `[B, ., ., .]` behind the batch, if they are not there already."""
    return values if layout == "NCHW" else values.permute(0, 3, 1, 2)


def check_absolute(score: str, segmentation: Segmentation, instead: Iterable[str]) -> None:
    """Checks that logits are those of a network without a softmax, for a score that their height decides.

    Args:
        score: Its name.
        segmentation: The segmenter's output.
        instead: Scores that will do.

    Raises:
        ConfigError: They are not.
    """
    if segmentation.relative:
        raise ConfigError(
            f"the network ends in a softmax, and {score} needs the logits before it: export or return these, "
            f"or choose one of: {', '.join(instead)} (a network whose logits merely look like probabilities: "
            "`gives: logits`)"
        )


def at_size(images: Tensor, size: Sequence[int | None]) -> list[int]:
    """Returns the height and width that images are to have where a network fixes one of them or both."""
    return [fixed or side for fixed, side in zip(size, images.shape[-2:], strict=True)]


def in_batches(inputs: Tensor, batch: int | None) -> list[Tensor]:
    """Cuts images into batches of exactly `batch`, the last one filled up with its own last image.

    Args:
        inputs: `[N, ...]`.
        batch: None to leave them together.
    """
    if batch is None:
        return [inputs]
    short = -len(inputs) % batch
    whole = torch.cat([inputs, inputs[-1:].expand(short, *inputs.shape[1:])]) if short else inputs
    return [whole[start : start + batch] for start in range(0, len(whole), batch)]


def as_bytes(images: Tensor) -> Tensor:
    """Converts images in 0..1 to uint8 in 0..255."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


def nhwc(images: Tensor) -> Tensor:
    """Moves the colours of images `[B, 3, H, W]` to the end."""
    return images.permute(0, 2, 3, 1).contiguous()
