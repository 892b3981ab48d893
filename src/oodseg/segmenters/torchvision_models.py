"""Segmenters of torchvision: DeepLabV3, FCN and LR-ASPP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import Segmentation
from oodseg.nn.checkpoints import read_state_dict
from oodseg.nn.hub import portable_source
from oodseg.nn.light_imports import import_torchvision
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD, WrappedSegmenter, class_names, input_of

_CLASSIFIERS = ("classifier.4", "classifier.low_classifier")


class TorchvisionSegmenter(WrappedSegmenter):
    """A segmentation network of torchvision.

    Args:
        source: Name of the network, e.g. `"deeplabv3_resnet50"` or `"lraspp_mobilenet_v3_large"`.
        weights: State dict of it, `.safetensors` or `.pth` (read with `weights_only=True`); None takes
            torchvision's own weights from torch's cache, and never fetches them.
        classes: Names of the classes, or a JSON file of them; None takes torchvision's for 21 classes.

    Raises:
        ConfigError: An unknown network.
        WeightsError: No weights, or those of another network.
    """

    name = "torchvision"

    def __init__(
        self, source: str, weights: str | None = None, classes: Sequence[str] | str | None = None
    ) -> None:
        import_torchvision()
        from torchvision.models import get_model, list_models, segmentation

        names = list_models(module=segmentation)
        if source not in names:
            raise ConfigError(
                f"torchvision has no segmenter '{source}'; choose one of: {', '.join(sorted(names))}"
            )
        path, known = (Path(weights), None) if weights else _cached(source)
        state = read_state_dict(path)
        layer = next((each for each in _CLASSIFIERS if f"{each}.weight" in state), None)
        if layer is None:
            raise WeightsError(f"{path} is not a state dict of {source}: save the network's state_dict()")
        count = len(state[f"{layer}.weight"])
        extra = {"aux_loss": True} if any(key.startswith("aux_classifier.") for key in state) else {}
        network = get_model(source, weights=None, weights_backbone=None, num_classes=count, **extra)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            fault = str(error).splitlines()[-1].strip()
            raise WeightsError(
                f"{path} does not fit {source} ({fault}): name the network it is of"
            ) from error
        if classes is None and count == 21:
            classes = known or _voc(source)
        super().__init__(
            network.eval().requires_grad_(False), class_names(classes, count), IMAGENET_MEAN, IMAGENET_STD
        )
        self.source, self.weights = source, weights
        # LR-ASPP adds up two classifiers, so that no one layer's input explains its logits.
        self._features = layer if layer == _CLASSIFIERS[0] else None

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        weights = portable_source(self.weights) if self.weights else None
        return {"source": self.source, "weights": weights, "classes": self.classes}

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`. Logits have the image's size."""
        inputs = self.normalized(images)
        if self._features is None:
            return Segmentation(self.network(inputs)["out"])
        with input_of(self.network.get_submodule(self._features)) as seen:
            logits = self.network(inputs)["out"]
        return Segmentation(logits, seen[0])

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        if self._features is None:
            return super().classify(features)
        logits: Tensor = self.network.get_submodule(self._features)(features)
        return logits


def _voc(source: str) -> list[str]:
    from torchvision.models import get_model_weights

    return list(get_model_weights(source).DEFAULT.meta["categories"])


def _cached(source: str) -> tuple[Path, list[str]]:
    """Torchvision's own weights in torch's cache, and their class names."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(source).DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not path.is_file():
        raise WeightsError(
            f"torchvision's weights of {source} (trained on COCO; for their terms see torchvision's model "
            f"documentation) are not in torch's cache: put {weights.url} at {path}, or name a file with the "
            "option weights"
        )
    return path, list(weights.meta["categories"])
