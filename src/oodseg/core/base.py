"""Defines what every part has: a name, the arguments that rebuild it, a device."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from oodseg.core.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self

    import torch


class Part(ABC):
    """Anything that is named in the grammar of `oodseg.core.spec` and saved with a pipeline.

    Attributes:
        name: Key in the registry of its room.
        subparts: Which constructor arguments are parts or settings themselves: argument to the room that it
            is looked up in, or to its class. A mapping in their place, or in a list of them, is built before
            the constructor runs.
    """

    name: str
    subparts: ClassVar[Mapping[str, str | type]] = {}

    def arguments(self) -> dict[str, Any]:
        """Returns the constructor's arguments by name: the attributes of the same names.

        A part that keeps one of them in another form says here how to get it back.

        Raises:
            ConfigError: An argument is kept nowhere.
        """
        try:
            return {name: getattr(self, name) for name in parameters(type(self))}
        except AttributeError as error:
            raise ConfigError(
                f"the part '{self.name}' does not keep every argument of its constructor as an attribute "
                f"({error}): keep it, or say how to get it back in `arguments`"
            ) from error

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able: with `name` in front they build the part again."""
        return {name: plain(value) for name, value in self.arguments().items()}

    def to(self, device: str | torch.device) -> Self:
        """Moves the part's tensors to a device; by default there are none."""
        return self

    def learned_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Gives the weights of all networks inside by name, those of others included; by default none."""
        return iter(())

    def run_on(self, runtime: str | None) -> Self:
        """Chooses what runs the part's networks in prediction; by default there is no choice.

        Args:
            runtime: `"torch"`, `"onnxruntime"` or `"openvino"`: what `choose_runtime` returns; None for the
                networks as they are, which is how a part comes.
        """
        return self


class Learned(Part):
    """A part whose constructor gives random weights, to be trained or to be loaded from a file.

    Naming one in the grammar takes a source of weights; without one that is an error.
    """

    @classmethod
    def from_checkpoint(cls, path: Path) -> Part:
        """Builds the part that a checkpoint file of its authors' release holds; by default there is none.

        A subclass may take options beside the file.

        Raises:
            ConfigError: Nobody published such files, or this is none.
        """
        raise ConfigError(
            f"'{cls.name}' has no published checkpoint files, so {path} cannot be read: give the "
            "folder of a saved pipeline"
        )


class Fittable(Part):
    """A part that learns statistics from ordinary images before it can be used."""

    @property
    @abstractmethod
    def fitted(self) -> bool:
        """True if the statistics have been learned."""

    @abstractmethod
    def fit(self, batches: Iterable[Any]) -> None:
        """Learns the statistics from images in which nothing is unknown.

        Args:
            batches: Of a detector float `[B, 3, H, W]`, RGB in 0..1; can be iterated more than once.
        """


def parameters(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns what a class or function can be called with, by name; `*args` and `**kwargs` are left out."""
    found = inspect.signature(maker).parameters
    return {
        name: each for name, each in found.items() if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
    }


def describe(part: Part) -> dict[str, Any]:
    """Describes a part as the grammar takes it: `name` and its arguments, nested parts likewise.

    Raises:
        ConfigError: It holds something that no file can name.
    """
    return {"name": part.name, **part.config}


def plain(value: Any) -> Any:
    """Converts a value to JSON types; parts become their descriptions.

    Raises:
        ConfigError: It is nothing that a file of settings can hold.
    """
    if isinstance(value, Part):
        return describe(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise ConfigError(
        f"a {type(value).__name__} cannot be written to a file of settings: give what it is made of, or hand "
        "the part in again after loading"
    )
