"""Turns crops of objects into embeddings: features of a network, averaged under the object's mask."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from oodseg.core.devices import choose_device, device_errors
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import Detector
from oodseg.io.images import to_tensor
from oodseg.nn.encoders import WHEELS, build_encoder, load_pretrained
from oodseg.nn.light_imports import import_timm
from oodseg.pipeline import S2M
from oodseg.runs.loading import pipeline_sha256

_TIMM = "timm:"


class Encoder(ABC):
    """Encodes crops.

    Attributes:
        side: Side of the crops that it sees, in pixels.
        settings: JSON-able: what the embeddings depend on.
    """

    side: int
    settings: dict[str, Any]

    @abstractmethod
    def features(self, crops: Tensor) -> Tensor:
        """Computes a feature map, float `[B, C, h, w]`, that covers the crops.

        Args:
            crops: Float `[B, 3, side, side]`, RGB in 0..1.
        """

    @torch.inference_mode()
    def embed(self, crop: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds one object.

        Args:
            crop: uint8 `[S, S, 3]` RGB.
            mask: uint8 `[S, S]`, 0..255: how far a pixel belongs to the object; not all 0.

        Returns:
            Float32 `[D]` of length 1: features averaged under the mask.
        """
        image = F.interpolate(to_tensor(crop)[None], (self.side, self.side), mode="area")
        features = self.features(image)[0].float().cpu()
        weight = torch.from_numpy(mask).float()[None, None]
        share = F.interpolate(weight, features.shape[-2:], mode="area")[0, 0]
        pooled = (features * share).sum((1, 2)) / share.sum()
        return np.asarray(F.normalize(pooled, dim=0).numpy(), np.float32)


class PipelineEncoder(Encoder):
    """The encoder of a pipeline's detector.

    Args:
        detector: One that has an encoder.
        settings: See `Encoder`.
        device: Where it runs.
    """

    side = 256

    def __init__(self, detector: Detector, settings: dict[str, Any], device: str = "cpu") -> None:
        self.settings, self._detector, self._device = settings, detector, device

    def features(self, crops: Tensor) -> Tensor:
        """See `Encoder.features`.

        Raises:
            ConfigError: The detector gives none.
        """
        with device_errors(self._device):
            found = self._detector.encode(crops.to(self._device))
        if found is None:
            raise ConfigError(
                f"the detector '{self._detector.name}' has no features to compare objects by: name an "
                "encoder of timm, such as --encoder timm:tf_efficientnet_lite2"
            )
        return found


class TimmEncoder(Encoder):
    """The last features of any model of timm, with its pretrained weights.

    Args:
        name: As timm has it; `hf-hub:…` and `local-dir:…` included.
        device: Where it runs.

    Raises:
        ConfigError: timm has no such model.
        WeightsError: Its weights cannot be had.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        timm = import_timm()

        self.settings = {"timm": name}
        try:
            if name in WHEELS:
                network = build_encoder(name)
                load_pretrained(network, name, "wheel")
            else:
                network = timm.create_model(name, pretrained=True, features_only=True)
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise ConfigError(f"timm has no encoder '{name}' with feature maps: {error}") from error
        except Exception as error:  # hubs raise errors of their own
            raise WeightsError(
                f"the weights of timm's '{name}' cannot be fetched ({error}): connect to a network, or name "
                "a folder as timm:local-dir:FOLDER"
            ) from error
        given = network.pretrained_cfg
        self.side = int(given["input_size"][-1])
        self._mean, self._std = (torch.tensor(given[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        self._network, self._device = network.eval().to(device), device

    def features(self, crops: Tensor) -> Tensor:
        """See `Encoder.features`."""
        found: Tensor = self._network(((crops - self._mean) / self._std).to(self._device))[-1]
        return found


def make_encoder(spec: str | os.PathLike[str] | Encoder, device: str | int = "auto") -> Encoder:
    """Makes an encoder.

    Args:
        spec: Name or folder of a pipeline, `timm:NAME`, or an encoder, which is handed back.
        device: Where it runs: see `choose_device`.

    Raises:
        ConfigError: No such pipeline's detector or model of timm.
        WeightsError: No such pipeline, or weights that cannot be had.
    """
    if isinstance(spec, Encoder):
        return spec
    name, place = os.fspath(spec), choose_device(device)
    if name.startswith(_TIMM):
        return TimmEncoder(name.removeprefix(_TIMM), place)
    detector = S2M.from_pretrained(name, place).detector
    if detector is None:
        raise ConfigError(
            f"the pipeline {name} has no detector: name an encoder of timm, such as timm:resnet18"
        )
    settings = {"pipeline": Path(name).name, "pipeline_sha256": pipeline_sha256(name)}
    return PipelineEncoder(detector, settings, place)
