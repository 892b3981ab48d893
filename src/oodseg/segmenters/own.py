"""Wraps your own network: any callable that turns images into logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation
from oodseg.nn.tensors import to_multiple
from oodseg.segmenters.wrapped import WrappedSegmenter, input_of


class CallableSegmenter(WrappedSegmenter):
    """Makes a segmenter from any `torch.nn.Module` or function.

    Args:
        network: Takes float images `[B, 3, H, W]` (RGB, normalised) and gives logits `[B, C, h, w]` of any
            resolution covering them: as a tensor, as the first of a tuple, as `"out"` or `"logits"` of a
            mapping, as the attribute `logits`, or as a whole `Segmentation`. A module is put into evaluation
            mode and frozen.
        classes: Names of the C classes; None if nobody needs them.
        mean: Mean for each of RGB that is subtracted from images in 0..1.
        std: Standard deviation by which they are then divided.
        multiple: Images are stretched to multiples of this: the network's stride.
        classifier: Name of the layer inside (`"head.conv"`) whose input are the features and whose output are
            the logits before they are enlarged; None if there are no features to hand out.

    Raises:
        ConfigError: The network is no module with such a layer.

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
    ) -> None:
        super().__init__(network, classes or (), mean, std)
        self.multiple, self.classifier = multiple, classifier
        if classifier is not None and classifier not in dict(_layers(network)):
            raise ConfigError(
                f"the network has no layer '{classifier}': name its last one, one of "
                f"{', '.join(name for name, _ in _layers(network) if name) or 'none, for it is no module'}"
            )
        if isinstance(network, nn.Module):
            network.eval()

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
        inputs = self.normalized(to_multiple(images, self.multiple))
        if self.classifier is None:
            return self._segmentation(self.network(inputs), len(images))
        with input_of(self.network.get_submodule(self.classifier)) as seen:
            found = self._segmentation(self.network(inputs), len(images))
        return Segmentation(found.logits, seen[0], found.queries)

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        if self.classifier is None:
            return super().classify(features)
        logits: Tensor = self.network.get_submodule(self.classifier)(features)
        return logits

    def _segmentation(self, found: Any, batch: int) -> Segmentation:
        if isinstance(found, Mapping):
            found = found.get("out", found.get("logits"))
        elif isinstance(found, tuple):
            found = found[0]
        if isinstance(found, Segmentation):
            return found
        logits = getattr(found, "logits", found)
        count = len(self.classes) or "C"
        right = isinstance(logits, Tensor) and logits.ndim == 4 and len(logits) == batch
        if not right or (self.classes and logits.shape[1] != count):
            shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ConfigError(
                f"the network gives {shape} instead of logits [{batch}, {count}, h, w]: "
                "return them from it, and name every class"
            )
        return Segmentation(logits)


def _layers(network: Any) -> Iterator[tuple[str, nn.Module]]:
    return network.named_modules() if isinstance(network, nn.Module) else iter(())
