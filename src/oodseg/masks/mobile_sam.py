"""MobileSAM (Zhang et al., 2023, arXiv 2306.14289): SAM's decoder behind timm's TinyViT-5M encoder.

The checkpoint's layout, `mobile_sam.pt`, is that of MobileSAM's published source: TinyViT-5M at 1024
pixels, whose last reduction has stride 1 so that it ends at SAM's grid of 64 x 64. The test compares the
converted encoder with a rendering of that source on random weights; the published file itself was not
at hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_package
from oodseg.masks.meta_checkpoints import convert, decoder_config, prompt_config
from oodseg.nn.hub import transformers
from oodseg.nn.light_imports import import_timm

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIDE, _PATCH = 1024, 16
_STEM = {"0": "conv1", "2": "conv2"}
_LAYER = re.compile(r"^layers\.(\d+)\.(blocks|downsample)\.")


class _TinyVit(nn.Module):
    """TinyViT-5M without its last reduction: `[B, 3, H, W]` to `[B, H / 16, W / 16, 320]`.

    It stands where SAM's patch embedding stood.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            import_timm()
            from timm.models.tiny_vit import TinyVit
        except ImportError:
            raise MissingDependencyError(
                f"MobileSAM needs timm: install it with `{install_package('timm')}`"
            ) from None
        self.body = TinyVit(
            embed_dims=(64, 128, 160, 320), num_heads=(2, 4, 5, 10), drop_path_rate=0.0, num_classes=0
        )
        self.body.head = nn.Identity()
        self.body.stages[3].downsample.conv2.conv.stride = (1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encodes normalised images whose sides are multiples of 16."""
        features: Tensor = self.body.forward_features(pixels)
        return features.permute(0, 2, 3, 1)


def build_mobile_sam(state: Mapping[str, Tensor]) -> Any:
    """Builds a `SamModel` with MobileSAM's encoder from a state dictionary of the original.

    Raises:
        KeyError: A tensor is missing.
        RuntimeError: A tensor is left over or of the wrong shape.
        MissingDependencyError: timm is not installed.
    """
    library = transformers()
    known = {name: tensor for name, tensor in state.items() if not _is_unused(name)}
    positions = known["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    vision = {
        "hidden_size": 320,
        "num_attention_heads": 10,
        "num_hidden_layers": 0,
        "use_abs_pos": False,
        "image_size": _SIDE,
        "patch_size": _PATCH,
        "num_pos_feats": positions.shape[1],
    }
    config = library.SamConfig(
        vision_config=vision,
        prompt_encoder_config=prompt_config(known, _SIDE, _PATCH),
        mask_decoder_config=decoder_config(known),
    )
    model = library.SamModel(config)
    # With no layer and no position table, SAM's encoder is patch embedding and neck; the neck is the same.
    model.vision_encoder.patch_embed = _TinyVit()
    model.load_state_dict(convert({_rename(name): each for name, each in known.items()}), strict=True)
    return model


def _is_unused(name: str) -> bool:
    """The classifier's head, and index tables that timm computes."""
    return name.startswith(("image_encoder.norm_head.", "image_encoder.head.")) or name.endswith(
        ".attention_bias_idxs"
    )


def _rename(name: str) -> str:
    """Original name to timm's, below SAM's patch embedding; all but the encoder's body stay as they are."""
    part, _, rest = name.partition(".")
    if part != "image_encoder" or rest.startswith("neck."):
        return name
    if rest.startswith("patch_embed.seq."):
        _, _, position, tail = rest.split(".", 3)
        rest = f"patch_embed.{_STEM.get(position, position)}.{tail}"
    found = _LAYER.match(rest)
    if found is not None:
        # The original reduces at the end of a stage, timm at the start of the next.
        stage = int(found[1]) + (found[2] == "downsample")
        rest = f"stages.{stage}.{found[2]}.{rest[found.end() :]}"
    return f"image_encoder.patch_embed.body.{rest.replace('.c.weight', '.conv.weight')}"
