"""Turns state dictionaries of the original Segment Anything release into transformers' `SamModel`.

`sam_vit_b_01ec64.pth`, `sam_vit_l_0b3195.pth`, `sam_vit_h_4b8939.pth` and whatever was fine-tuned from
them in the same layout: every size is read off the tensors' shapes. Files of MobileSAM share all but
the encoder. The conversion renames tensors and computes nothing, so the model is the same to rounding;
`tests/masks/test_meta_checkpoints.py` holds it against the `segment-anything` package.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oodseg.nn.hub import transformers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# Fixed in the release's code and not to be read off any tensor's shape.
_DECODER_HEADS = 8
_DECODER_NORM_EPS = 1e-5

# Applied to every name in turn.
_RENAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"^image_encoder\.", "vision_encoder."),
        (r"^vision_encoder\.blocks\.", "vision_encoder.layers."),
        (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
        (r"\.neck\.0\.", ".neck.conv1."),
        (r"\.neck\.1\.", ".neck.layer_norm1."),
        (r"\.neck\.2\.", ".neck.conv2."),
        (r"\.neck\.3\.", ".neck.layer_norm2."),
        (r"\.norm(\d)\.", r".layer_norm\1."),
        (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
        (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
        (r"\.point_embeddings\.", ".point_embed."),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    ]
]
_PERCEPTRON = re.compile(
    r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.(\d+)\."
)


def build_sam(state: Mapping[str, Tensor]) -> Any:
    """Builds a `SamModel` from a state dictionary of the original `Sam`.

    Raises:
        KeyError: A tensor is missing.
        RuntimeError: A tensor is left over or of the wrong shape.
    """
    library = transformers()
    vision = _vision_config(state)
    config = library.SamConfig(
        vision_config=vision,
        prompt_encoder_config=prompt_config(state, vision["image_size"], vision["patch_size"]),
        mask_decoder_config=decoder_config(state),
    )
    model = library.SamModel(config)
    model.load_state_dict(convert(state), strict=True)
    return model


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames a state dictionary of the original `Sam` to the names of transformers' `SamModel`."""
    converted = {_rename(name, state): tensor for name, tensor in state.items()}
    # One matrix in the original, held twice by transformers.
    shared = converted["prompt_encoder.shared_embedding.positional_embedding"]
    converted["shared_image_embedding.positional_embedding"] = shared
    return converted


def _rename(name: str, state: Mapping[str, Tensor]) -> str:
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    found = _PERCEPTRON.match(name)
    if found is None:
        return name
    # transformers calls the first and the last layer of a perceptron proj_in and proj_out.
    stem, position = found[1], int(found[2])
    last = _perceptron_depth(state, stem) - 1
    place = {0: "proj_in", last: "proj_out"}.get(position, f"layers.{position - 1}")
    return f"{stem}.{place}.{name[found.end() :]}"


def _perceptron_depth(state: Mapping[str, Tensor], stem: str) -> int:
    return sum(name.startswith(f"{stem}.layers.") and name.endswith(".weight") for name in state)


def _vision_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The encoder's sizes, read off its tensors."""
    encoder = "image_encoder."
    hidden, channels, patch, _ = state[f"{encoder}patch_embed.proj.weight"].shape
    grid = state[f"{encoder}pos_embed"].shape[1]
    depth = len({name.split(".")[2] for name in state if name.startswith(f"{encoder}blocks.")})
    # Relative positions along an axis of n patches are a table of 2n - 1 rows, one column per channel of a
    # head: its length tells windowed from global blocks, its width the number of heads.
    tables = [state[f"{encoder}blocks.{block}.attn.rel_pos_h"] for block in range(depth)]
    spans = [(len(table) + 1) // 2 for table in tables]
    return {
        "hidden_size": hidden,
        "num_channels": channels,
        "num_hidden_layers": depth,
        "num_attention_heads": hidden // tables[0].shape[1],
        "mlp_dim": len(state[f"{encoder}blocks.0.mlp.lin1.weight"]),
        "output_channels": len(state[f"{encoder}neck.0.weight"]),
        "image_size": grid * patch,
        "patch_size": patch,
        "window_size": min(spans),
        "global_attn_indexes": [block for block, span in enumerate(spans) if span == grid],
        "num_pos_feats": _position_features(state),
    }


def prompt_config(state: Mapping[str, Tensor], image_size: int, patch_size: int) -> dict[str, Any]:
    """Returns the prompt encoder's sizes, read off its tensors."""
    return {
        "hidden_size": state["prompt_encoder.no_mask_embed.weight"].shape[1],
        "image_size": image_size,
        "patch_size": patch_size,
        "mask_input_channels": len(state["prompt_encoder.mask_downscaling.3.weight"]),
    }


def decoder_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Returns the mask decoder's sizes, read off its tensors."""
    decoder = "mask_decoder."
    hidden = state[f"{decoder}mask_tokens.weight"].shape[1]
    inner = len(state[f"{decoder}transformer.final_attn_token_to_image.q_proj.weight"])
    layers = {name.split(".")[3] for name in state if name.startswith(f"{decoder}transformer.layers.")}
    return {
        "hidden_size": hidden,
        "mlp_dim": len(state[f"{decoder}transformer.layers.0.mlp.lin1.weight"]),
        "num_hidden_layers": len(layers),
        "num_attention_heads": _DECODER_HEADS,
        "attention_downsample_rate": hidden // inner,
        "num_multimask_outputs": len(state[f"{decoder}mask_tokens.weight"]) - 1,
        "iou_head_depth": _perceptron_depth(state, f"{decoder}iou_prediction_head"),
        "iou_head_hidden_dim": len(state[f"{decoder}iou_prediction_head.layers.0.weight"]),
        "layer_norm_eps": _DECODER_NORM_EPS,
    }


def _position_features(state: Mapping[str, Tensor]) -> int:
    return int(state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"].shape[1])
