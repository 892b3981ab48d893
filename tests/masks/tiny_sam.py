"""Promptable models of every family, tiny and random, saved in the hub's folder format."""

import torch

from oodseg.nn.hub import library_class

_PROMPTS = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
_DECODER = {
    "hidden_size": 32,
    "mlp_dim": 32,
    "num_attention_heads": 2,
    "iou_head_depth": 2,
    "iou_head_hidden_dim": 16,
}
_VIT = {
    "hidden_size": 32,
    "output_channels": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 8,
    "window_size": 3,
    "global_attn_indexes": [1],
    "num_pos_feats": 16,
    "mlp_dim": 32,
}
_PYRAMID = {
    "backbone_channel_list": [128, 64, 32, 16],
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "fpn_hidden_size": 32,
}


def _sam():
    from transformers import SamConfig, SamModel, SamProcessor

    config = SamConfig(
        vision_config=_VIT, prompt_encoder_config=_PROMPTS | {"patch_size": 8}, mask_decoder_config=_DECODER
    )
    return SamModel(config), SamProcessor(_sam_images())


def _sam_hq():
    from transformers import SamHQConfig, SamHQModel, SamHQProcessor

    config = SamHQConfig(
        vision_config=_VIT,
        prompt_encoder_config=_PROMPTS | {"patch_size": 8},
        mask_decoder_config=_DECODER | {"vit_dim": 32},
    )
    return SamHQModel(config), SamHQProcessor(_sam_images())


def _sam_images():
    return library_class("SamImageProcessor")(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )


def _sam2():
    from transformers import Sam2Config, Sam2Model, Sam2Processor

    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [3, 3],
    }
    vision = {"model_type": "sam2_vision_model", "backbone_config": hiera, **_PYRAMID}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER)
    return Sam2Model(config), Sam2Processor(_sam2_images())


def _sam2_images():
    return library_class("Sam2ImageProcessor")(size={"height": 64, "width": 64})


def _edgetam():
    from transformers import EdgeTamConfig, EdgeTamModel, Sam2Processor

    repvit = {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",
        "num_classes": 2,
        "model_args": {
            "in_chans": 3,
            "features_only": True,
            "out_indices": [0, 1, 2, 3],
            "embed_dim": [16, 32, 64, 128],
            "depth": [1, 1, 1, 1],
        },
    }
    vision = {"model_type": "edgetam_vision_model", "backbone_config": repvit, **_PYRAMID}
    config = EdgeTamConfig(vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER)
    return EdgeTamModel(config), Sam2Processor(_sam2_images())


def _sam3():
    from transformers import Sam3TrackerConfig, Sam3TrackerModel, Sam3TrackerProcessor

    vit = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 112,
        "patch_size": 14,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 56,
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": vit,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": 32,
    }
    prompts = _PROMPTS | {"image_size": 112, "patch_size": 14}
    config = Sam3TrackerConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=_DECODER
    )
    images = library_class("Sam3ImageProcessor")(size={"height": 112, "width": 112})
    return Sam3TrackerModel(config), Sam3TrackerProcessor(images)


# Chosen so that masks are neither empty nor full.
_SEEDS = {"sam": 1, "sam_hq": 0, "sam2": 8, "edgetam": 8, "sam3": 2}
_MAKERS = {"sam": _sam, "sam_hq": _sam_hq, "sam2": _sam2, "edgetam": _edgetam, "sam3": _sam3}


def save_tiny(family: str, folder) -> None:
    """Writes model and processor."""
    torch.manual_seed(_SEEDS[family])
    model, processor = _MAKERS[family]()
    randomize(model)
    model.save_pretrained(folder)
    if family == "sam":
        processor.image_processor.save_pretrained(folder)  # preprocessor_config.json, as the oldest have it
    else:
        processor.save_pretrained(folder)


def randomize(model) -> None:
    """Draws weights large enough that masks depend on image and box; as initialised they hardly do."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "positional_embedding" not in name:
                parameter.normal_(std=2.0 / parameter[0].numel() ** 0.5)
