"""Per-pixel segmenters of transformers: SegFormer, UPerNet and DPT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from oodseg.core.parts import Segmentation
from oodseg.nn import hub
from oodseg.nn.hub import portable_source
from oodseg.nn.tensors import to_multiple
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD, WrappedSegmenter, input_of


class HubSegmenter(WrappedSegmenter):
    """A segmenter of transformers, by hub id or local folder.

    Class names come from the model's configuration; mean, standard deviation and scale of the images
    from its `preprocessor_config.json`. Images keep the size at which they are handed in.

    Args:
        source: Hub id (`owner/name`) or a folder written by `save_pretrained`.
        revision: Branch, tag or commit on the hub.

    Raises:
        WeightsError: See `oodseg.nn.hub.load_model`.
        MissingDependencyError: transformers is not installed.
    """

    model_class: ClassVar[str]
    unused: ClassVar[tuple[str, ...]] = ()
    multiple: ClassVar[int] = 32

    def __init__(self, source: str, revision: str | None = None) -> None:
        model_class = hub.library_class(self.model_class)
        model = hub.load_model(model_class, source, revision=revision, unused=self.unused)
        self.settings = hub.load_image_settings(source, revision=revision)
        labels = {int(index): str(name) for index, name in model.config.id2label.items()}
        super().__init__(model, [labels[index] for index in sorted(labels)], *statistics(self.settings))
        self.source, self.revision = source, revision

    def normalized(self, images: Tensor) -> Tensor:
        """See `WrappedSegmenter.normalized`; in the order BGR where the processor turns colours round."""
        found = super().normalized(images)
        return found.flip(1) if self.settings.get("do_flip_channel_order") else found

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        return {"source": portable_source(self.source), "revision": self.revision}


def statistics(settings: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Computes the mean and standard deviation for images in 0..1, from an image processor's settings."""
    mean, std = [0.0] * 3, [1.0] * 3
    if settings.get("do_normalize", True):
        mean = _three(settings.get("image_mean") or IMAGENET_MEAN)
        std = _three(settings.get("image_std") or IMAGENET_STD)
    # The processor multiplies 0..255 by its factor; here images are in 0..1.
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    gain = 255 * factor
    return [value / gain for value in mean], [value / gain for value in std]


def _three(value: float | Sequence[float]) -> list[float]:
    """One number for each of RGB; processors may hold one for all."""
    values = [value] if isinstance(value, int | float) else list(value)
    return values * 3 if len(values) == 1 else values


class PixelSegmenter(HubSegmenter):
    """One whose model gives logits for every pixel.

    `features` of the result are what its last 1x1 convolution sees.
    """

    classifier: ClassVar[str]

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`."""
        inputs = self.normalized(to_multiple(images, self.multiple))
        with input_of(self.network.get_submodule(self.classifier)) as seen:
            logits = self.logits(inputs)
        return Segmentation(logits, seen[0])

    def classify(self, features: Tensor) -> Tensor:
        """See `Segmenter.classify`."""
        logits: Tensor = self.network.get_submodule(self.classifier)(features)
        return logits

    def logits(self, inputs: Tensor) -> Tensor:
        """Computes the model's logits of normalised images `[B, 3, H, W]` of a size that it takes."""
        logits: Tensor = self.network(pixel_values=inputs).logits
        return logits


class SegformerSegmenter(PixelSegmenter):
    """SegFormer (Xie et al., NeurIPS 2021); logits at a quarter of the image."""

    name, model_class, classifier = "segformer", "SegformerForSemanticSegmentation", "decode_head.classifier"


class UperNetSegmenter(PixelSegmenter):
    """UPerNet (Xiao et al., ECCV 2018) on ConvNeXt, Swin and others; logits at the image's size."""

    name, model_class, classifier = "upernet", "UperNetForSemanticSegmentation", "decode_head.classifier"


class DptSegmenter(PixelSegmenter):
    """DPT (Ranftl et al., ICCV 2021); logits at the image's size."""

    name, model_class, classifier = "dpt", "DPTForSemanticSegmentation", "head.head.4"
    # The first fusion layer has nothing to add to; the released checkpoints leave its weights out.
    unused = ("neck.fusion_stage.layers.0.residual_layer1.",)

    def logits(self, inputs: Tensor) -> Tensor:
        """See `PixelSegmenter.logits`; the model takes every image for a square unless told otherwise."""
        patch = self.network.config.patch_size
        grid = {"patch_height": inputs.shape[-2] // patch, "patch_width": inputs.shape[-1] // patch}
        handle = self.network.neck.register_forward_pre_hook(
            lambda _, given, options: (given, {**options, **grid}), with_kwargs=True
        )
        try:
            return super().logits(inputs)
        finally:
            handle.remove()
