"""Mask classifiers of transformers: Mask2Former, MaskFormer and OneFormer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.nn import hub
from oodseg.nn.tensors import to_multiple
from oodseg.segmenters.hub_pixel import HubSegmenter

_LEAST = 1e-6  # below, a class score is nothing but rounding


def class_logits(queries: MaskQueries) -> Tensor:
    """Class logits of a mask classifier: the logarithm of its class scores, cut off below 1e-6.

    Args:
        queries: Q masks with a class each.

    Returns:
        Float `[B, C, h, w]` at the masks' resolution.
    """
    return queries.class_scores().clamp_min(_LEAST).log()


class MaskSegmenter(HubSegmenter):
    """One whose model gives queries: masks with a class each; logits at the masks' resolution."""

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`."""
        queries = self.queries(self.normalized(to_multiple(images, self.multiple)))
        return Segmentation(class_logits(queries), None, queries)

    def queries(self, inputs: Tensor) -> MaskQueries:
        """Returns the model's queries for normalised images `[B, 3, H, W]` of a size that it takes."""
        found = self.network(pixel_values=inputs, **self.extras(inputs))
        return MaskQueries(found.class_queries_logits, found.masks_queries_logits)

    def extras(self, inputs: Tensor) -> dict[str, Any]:
        """Returns further arguments of the model."""
        return {}


class QueryHeads(nn.Module):
    """Reads class and mask of each query off its state.

    Args:
        classes: `[B, Q, D]` to class logits `[B, Q, C + 1]`.
        masks: `[B, Q, D]` to embeddings `[B, Q, E]` that are compared with those of the pixels.
    """

    def __init__(self, classes: nn.Module, masks: nn.Module) -> None:
        super().__init__()
        self.classes, self.masks = classes, masks

    def forward(self, states: Tensor, pixels: Tensor) -> MaskQueries:
        """Reads states `[B, Q, D]`; `pixels` are embeddings `[B, E, h, w]`."""
        masks = torch.einsum("bqe,behw->bqhw", self.masks(states), pixels)
        return MaskQueries(self.classes(states), masks)


class Mask2FormerSegmenter(MaskSegmenter):
    """Mask2Former (Cheng et al., CVPR 2022)."""

    name, model_class = "mask2former", "Mask2FormerForUniversalSegmentation"

    def heads(self) -> QueryHeads:
        """Returns the heads of the last decoder layer: the network's own, not a copy."""
        decoder = self.network.model.transformer_module.decoder
        return QueryHeads(self.network.class_predictor, decoder.mask_predictor.mask_embedder)

    def before_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes what these heads read: states `[B, Q, D]` and pixels `[B, E, h, w]`.

        Args:
            images: Float `[B, 3, H, W]`, RGB in 0..1.
        """
        inputs = self.normalized(to_multiple(images, self.multiple))
        found = self.network.model(pixel_values=inputs, output_hidden_states=True)
        states = found.transformer_decoder_intermediate_states[-1].transpose(0, 1)
        return states, found.pixel_decoder_last_hidden_state

    def mask_losses(
        self, queries: MaskQueries, masks: Sequence[Tensor], classes: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Computes Mask2Former's own losses on matched queries, with the weights of its configuration.

        Args:
            queries: Of B images.
            masks: Float `[N, h, w]` for each image, at least one mask.
            classes: int64 `[N]`: their classes.

        Returns:
            `"cross_entropy"`, `"mask"` and `"dice"`.
        """
        criterion = self.network.criterion
        found = criterion(queries.masks, queries.classes, list(masks), list(classes))
        return {
            name.removeprefix("loss_"): weight * found[name] for name, weight in criterion.weight_dict.items()
        }


class MaskFormerSegmenter(MaskSegmenter):
    """MaskFormer (Cheng et al., NeurIPS 2021)."""

    name, model_class = "maskformer", "MaskFormerForInstanceSegmentation"


class OneFormerSegmenter(MaskSegmenter):
    """OneFormer (Jain et al., CVPR 2023), told that its task is semantic."""

    name, model_class = "oneformer", "OneFormerForUniversalSegmentation"

    def __init__(self, source: str, revision: str | None = None) -> None:
        super().__init__(source, revision)
        # Its own processor would fetch a class list from the hub; only the tokens are needed.
        tokenizer = hub.load_processor(hub.transformers().CLIPTokenizer, source, revision=revision)
        tokens = tokenizer(
            "the task is semantic",
            padding="max_length",
            max_length=self.network.config.task_seq_len,
            truncation=True,
        )
        ids, mask = torch.tensor(tokens["input_ids"]), torch.tensor(tokens["attention_mask"])
        self.register_buffer("_task", (ids * mask)[None], persistent=False)

    def extras(self, inputs: Tensor) -> dict[str, Any]:
        """Returns the task token, once per image."""
        return {"task_inputs": self.get_buffer("_task").expand(len(inputs), -1)}
