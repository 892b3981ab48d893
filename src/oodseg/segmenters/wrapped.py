"""Shared by all segmenters that wrap a third-party network: normalising, device, class names, saving."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError, cause
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Segmenter
from oodseg.core.texts import read_text

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class WrappedSegmenter(ModulePart, Segmenter):
    """Holds a network whose weights belong to somebody else.

    A saved pipeline names where the network came from (`config`) and never holds a copy of its weights:
    they may be large, and under a licence that forbids passing them on.

    Args:
        network: The network; moves along when the segmenter changes its device.
        classes: Names of its classes.
        mean: Mean of the images it was trained on, for each of RGB, in 0..1.
        std: Standard deviation likewise.
    """

    name = "wrapped"

    def __init__(
        self,
        network: Callable[..., Any],
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(
                f"mean and std take three numbers (RGB) and std lies above 0, not {mean} and {std}"
            )
        # In a tuple torch does not see the network: it stays out of state_dict and of saved pipelines.
        self._held = (network,)
        self.classes = tuple(classes)
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.eval()

    @property
    def network(self) -> Any:
        """The wrapped network."""
        return self._held[0]

    def held(self) -> nn.Module | None:
        """See `ModulePart.held`."""
        return self.network if isinstance(self.network, nn.Module) else None

    def normalized(self, images: Tensor) -> Tensor:
        """Normalises images `[B, 3, H, W]` in 0..1 for the network, on its device."""
        mean, std = self.get_buffer("_mean"), self.get_buffer("_std")
        return (images.to(mean.device) - mean) / std

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        if isinstance(self.network, nn.Module):
            self.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def class_names(classes: Sequence[str] | str | None, count: int) -> tuple[str, ...]:
    """Checks or makes up the names of `count` classes.

    Args:
        classes: Names; or the path of a JSON file with a list of them, or with a mapping from index to name;
            None for `class 0`, `class 1`, ...
        count: How many the network has.

    Raises:
        ConfigError: Another number of names, or no such file.
    """
    if classes is None:
        return tuple(f"class {index}" for index in range(count))
    classes = given_names(classes)
    if len(classes) != count:
        raise ConfigError(
            f"the network has {count} classes but {len(classes)} names were given: name each one"
        )
    return tuple(str(name) for name in classes)


def given_names(classes: Sequence[str] | str) -> Sequence[str]:
    """Reads names of classes, where they are the path of a JSON file; see `class_names`."""
    return _read_names(Path(classes)) if isinstance(classes, str) else classes


def _read_names(path: Path) -> list[str]:
    try:
        names = json.loads(read_text(path))
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=int)]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the class names {path} cannot be read ({cause(error)}): give a JSON list of names"
        ) from error
    if not isinstance(names, list):
        raise ConfigError(f"the class names {path} are not a list: give a JSON list of names")
    return names


@contextmanager
def input_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what a layer is handed while the block runs."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        seen.append((*inputs, *named.values())[0])

    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()
