"""Wraps your own network: any callable that turns images into logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.input_warnings import warn_input
from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.nn.tensors import resize, to_multiple
from oodseg.segmenters.conventions import (
    GIVES,
    LAYOUTS,
    as_bytes,
    as_segmentation,
    at_size,
    check_choice,
    in_batches,
    kind_of,
    nchw,
    nhwc,
    output_layout,
)
from oodseg.segmenters.hub_masks import class_logits
from oodseg.segmenters.onnx_ports import QUERIES
from oodseg.segmenters.wrapped import WrappedSegmenter, input_of


class CallableSegmenter(WrappedSegmenter):
    """Makes a segmenter from any `torch.nn.Module`, TorchScript module or function.

    Args:
        network: Takes float images `[B, 3, H, W]` (RGB, normalised) and gives logits `[B, C, h, w]` of any
            resolution covering them: as a tensor or a numpy array, as the first of a tuple or list, as
            `"out"` or `"logits"` of a mapping, as the attribute `logits`, or as a whole `Segmentation`. A
            module is put into evaluation mode and frozen, and gets its images in the type of its weights.
        classes: Names of the C classes; None if nobody needs them.
        mean: Mean for each of RGB that is subtracted from images in 0..1.
        std: Standard deviation by which they are then divided.
        multiple: Images are stretched to multiples of this: the network's stride.
        classifier: Name of the layer inside (`"head.conv"`) whose input are the features and whose output are
            the logits before they are enlarged; None if there are no features to hand out.
        layout: Axes of the images that the network takes: `"NCHW"` or `"NHWC"`.
        pixels: `"float"`, or `"uint8"` for a network that takes 0..255 and normalises inside.
        size: Height and width that the network was traced with, if it takes no other.
        batch: How many images it takes at once; None for any number.
        output: Which of several results holds the logits: key of a mapping, index of a tuple.
        output_layout: Axes of the logits; None to tell by the image's proportions.
        gives: What they are: `"logits"`, or what came out of a `"softmax"`, `"log_softmax"` or `"sigmoid"`;
            None to tell by their values.

    Raises:
        ConfigError: The network cannot be called or has no such layer, or an option is none that there is.

    Examples:
        ```python
        from oodseg import S2M, CallableSegmenter, LogitDetector

        segmenter = CallableSegmenter(my_network, classes=["road", "car"], multiple=32)
        s2m = S2M.from_pretrained("street", detector=LogitDetector(segmenter, score="energy"))
        ```
    """

    name = "callable"

    def __init__(
        self,
        network: Callable[[Tensor], Any],
        classes: Sequence[str] | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        multiple: int = 1,
        classifier: str | None = None,
        layout: str = "NCHW",
        pixels: str = "float",
        size: Sequence[int] | None = None,
        batch: int | None = None,
        output: str | int | None = None,
        output_layout: str | None = None,
        gives: str | None = None,
    ) -> None:
        if not callable(network):
            raise ConfigError(
                f"a network is something to call, not a {type(network).__name__}: load it first, or name "
                "an ONNX file as onnx:FILE"
            )
        super().__init__(network, classes or (), mean, std)
        check_choice("layout", layout, LAYOUTS)
        check_choice("pixels", pixels, ("float", "uint8"))
        check_choice("output_layout", output_layout, LAYOUTS)
        check_choice("gives", gives, GIVES)
        self.multiple, self.classifier = multiple, classifier
        self.layout, self.pixels, self.size, self.batch = layout, pixels, size, batch
        self.output, self.output_layout, self.gives = output, output_layout, gives
        if classifier is not None and classifier not in dict(_layers(network)):
            raise ConfigError(
                f"the network has no layer '{classifier}': name its last one, one of "
                f"{', '.join(name for name, _ in _layers(network) if name) or 'none, for it is no module'}"
            )
        if isinstance(network, nn.Module):
            network.eval().requires_grad_(False)

    def arguments(self) -> dict[str, Any]:
        """Returns nothing: there are none.

        Raises:
            ConfigError: Always: a network of one's own cannot be rebuilt from a file of settings.
        """
        raise ConfigError(
            "a pipeline around a network of your own cannot be saved: export the network to ONNX and use the "
            "segmenter 'onnx', or build the detector again after loading"
        )

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`.

        Raises:
            ConfigError: The network does not give logits of its classes.
        """
        images = to_multiple(images, self.multiple)
        if self.size is not None:
            images = resize(images, at_size(images, self.size), antialias=True)
        parts = [self._one_batch(each) for each in in_batches(images, self.batch)]
        return parts[0] if len(parts) == 1 else _joined(parts, len(images))

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        if self.classifier is None:
            return super().classify(features)
        layer = self.network.get_submodule(self.classifier)
        weight = next((each for each in layer.parameters() if each.is_floating_point()), features)
        logits: Tensor = layer(features.to(weight.dtype))
        return logits.to(features.dtype)

    def _one_batch(self, images: Tensor) -> Segmentation:
        size = (images.shape[-2], images.shape[-1])
        inputs = self._inputs(images)
        if self.classifier is None:
            return self._segmentation(self._call(inputs), len(images), size)
        with input_of(self.network.get_submodule(self.classifier)) as seen:
            found = self._segmentation(self._call(inputs), len(images), size)
        if not seen or seen[0].ndim != 4:
            handed = f"is handed {list(seen[0].shape)}" if seen else "is not run"
            raise ConfigError(
                f"the layer '{self.classifier}' {handed} where the network segments an image, so there "
                "are no features [B, D, h, w]: name the layer that gives the logits as `classifier`"
            )
        return Segmentation(found.logits, seen[0], found.queries, found.relative)

    def _inputs(self, images: Tensor) -> Tensor:
        if self.pixels == "uint8":
            inputs = as_bytes(images.to(self.get_buffer("_mean").device))
        else:
            inputs = self.normalized(images)
            if isinstance(self.network, nn.Module):
                weight = next(
                    (each for each in self.network.parameters() if each.is_floating_point()), inputs
                )
                inputs = inputs.to(weight.dtype)
        return nhwc(inputs) if self.layout == "NHWC" else inputs

    def _call(self, inputs: Tensor) -> Any:
        try:
            return self.network(inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            # TorchScript says at the end what went wrong, everybody else at the beginning.
            said = lines[-1] if isinstance(self.network, torch.jit.ScriptModule) else lines[0]
            raise ConfigError(
                f"the network cannot take {inputs.dtype} {list(inputs.shape)} ({said.rstrip('.')}): if it "
                "wants its images otherwise, say so with `layout`, `pixels`, `multiple`, `size` or `batch`"
            ) from error

    def _segmentation(self, found: Any, batch: int, size: tuple[int, int]) -> Segmentation:
        values = self._values(found)
        if isinstance(values, np.ndarray):  # as of a function that calls another runtime
            values = torch.tensor(values, device=self.get_buffer("_mean").device)
        if isinstance(values, Segmentation):
            return values
        count = len(self.classes) or None
        right = isinstance(values, Tensor) and values.ndim == 4 and values.is_floating_point()
        if right and len(values) == batch:
            sides = (values.shape[1], values.shape[2], values.shape[3])
            values = nchw(values, self.output_layout or output_layout([(size, sides)], count) or "NCHW")
        if not right or len(values) != batch or values.shape[1] != (count or values.shape[1]):
            shape = (
                f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else _described(values)
            )
            raise ConfigError(
                f"the network gives {shape} instead of logits [{batch}, {count or 'C'}, h, w]: return them "
                "from it, before any argmax, and name every class; `output` chooses one of several results, "
                "`output_layout` says where the classes stand, and `batch=1` calls it once per image"
            )
        return as_segmentation(values, self._kind(values))

    def _kind(self, values: Tensor) -> str:
        """Finds out what the network ends with, once, with the first images."""
        if self.gives is None:
            found = kind_of(values)
            if found == "one_hot":
                raise ConfigError(
                    "the network gives a one for one class and zeros for all others, as after an argmax: "
                    "return what comes before it"
                )
            if found == "labels":
                return "logits"  # such as a simple network's for a blank image: other images will tell
            if found is None:
                warn_input(
                    "the network gives values between 0 and 1 that do not sum to one, which are taken for "
                    "logits: say gives='sigmoid' if it ends in a sigmoid, or gives='logits'"
                )
            self.gives = found or "logits"
        return self.gives

    def _values(self, found: Any) -> Any:
        """Chooses what counts of all that the network gave."""
        if self.output is not None:
            try:
                return found[self.output]
            except (KeyError, IndexError, TypeError) as error:
                raise ConfigError(
                    f"the network gives {_described(found)}, which has no output {self.output!r}"
                ) from error
        if isinstance(found, Mapping):
            if all(each in found for each in QUERIES):
                queries = MaskQueries(*(found[each] for each in QUERIES))
                return Segmentation(class_logits(queries), None, queries)
            named = [found[each] for each in ("out", "logits") if each in found]
            return (named or ([*found.values()] if len(found) == 1 else [found]))[0]
        if isinstance(found, Segmentation | Tensor):
            return found
        if isinstance(found, tuple | list) and found:
            return found[0]
        return getattr(found, "logits", found)


def _described(found: Any) -> str:
    """Describes what a network gave, in a few words."""
    if isinstance(found, Mapping):
        return f"a mapping of {', '.join(map(str, found))}"
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {len(found)}"
    return type(found).__name__


def _joined(parts: Sequence[Segmentation], count: int) -> Segmentation:
    """Puts batches together again, without what filled up the last one."""

    def join(values: list[Tensor | None]) -> Tensor | None:
        there = [each for each in values if each is not None]
        return torch.cat(there)[:count] if there else None

    logits, features = join([each.logits for each in parts]), join([each.features for each in parts])
    assert logits is not None
    queries = [each.queries for each in parts if each.queries is not None]
    if not queries:
        return Segmentation(logits, features, None, parts[0].relative)
    classes, masks = (
        torch.cat([getattr(each, kind) for each in queries])[:count] for kind in ("classes", "masks")
    )
    return Segmentation(logits, features, MaskQueries(classes, masks), parts[0].relative)


def _layers(network: Any) -> Iterator[tuple[str, nn.Module]]:
    return network.named_modules() if isinstance(network, nn.Module) else iter(())
