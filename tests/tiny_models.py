"""Tiny, randomly initialised models of every family, saved in the hub's own folder format."""

import json
from pathlib import Path

import torch

CLASSES = ("road", "wall", "sky", "person", "car")
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


def _labels():
    return {"id2label": dict(enumerate(CLASSES)), "label2id": {name: i for i, name in enumerate(CLASSES)}}


def _swin():
    from transformers import SwinConfig

    return SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def segformer():
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 2, 4],
        decoder_hidden_size=16,
        **_labels(),
    )
    return SegformerForSemanticSegmentation(config), SegformerImageProcessor(image_mean=MEAN, image_std=STD)


def upernet():
    from transformers import (
        ConvNextConfig,
        SegformerImageProcessor,
        UperNetConfig,
        UperNetForSemanticSegmentation,
    )

    backbone = ConvNextConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=16, pool_scales=[1, 2], use_auxiliary_head=False, **_labels()
    )
    return UperNetForSemanticSegmentation(config), SegformerImageProcessor(image_mean=MEAN, image_std=STD)


def dpt():
    from transformers import DPTConfig, DPTForSemanticSegmentation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        **_labels(),
    )
    return DPTForSemanticSegmentation(config), DPTImageProcessor(image_mean=MEAN, image_std=STD)


def mask2former():
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
    )

    config = Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=6,
        **_labels(),
    )
    processor = Mask2FormerImageProcessor(image_mean=MEAN, image_std=STD)
    return Mask2FormerForUniversalSegmentation(config), processor


def maskformer():
    from transformers import (
        DetrConfig,
        MaskFormerConfig,
        MaskFormerForInstanceSegmentation,
        MaskFormerImageProcessor,
        ResNetConfig,
    )

    decoder = DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=6,
        # Before 5.0, transformers takes a backbone of timm unless told otherwise.
        use_timm_backbone=False,
        backbone=None,
        backbone_config=ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic"),
    )
    config = MaskFormerConfig(
        backbone_config=_swin(),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **_labels(),
    )
    processor = MaskFormerImageProcessor(image_mean=MEAN, image_std=STD)
    return MaskFormerForInstanceSegmentation(config), processor


def oneformer():
    from transformers import OneFormerConfig, OneFormerForUniversalSegmentation

    config = OneFormerConfig(
        backbone_config=_swin(),
        conv_dim=32,
        mask_dim=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=6,
        text_encoder_width=32,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=64,
        use_task_norm=True,
        query_dec_layers=1,
        **_labels(),
    )
    return OneFormerForUniversalSegmentation(config), _OneFormerFiles()


class _OneFormerFiles:
    """Its processor needs a class list that the hub serves; its files in a model's folder are these."""

    def save_pretrained(self, folder):
        pieces = ["the", "task", "is", "semantic"]
        letters = sorted({letter for piece in pieces for letter in piece})
        names = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
        vocab = {name: index for index, name in enumerate(names)}
        (Path(folder) / "vocab.json").write_text(json.dumps(vocab))
        (Path(folder) / "merges.txt").write_text("#version: 0.2\n")
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
        settings = {
            "image_processor_type": "OneFormerImageProcessor",
            "image_mean": MEAN,
            "image_std": STD,
            "do_normalize": True,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
        }
        (Path(folder) / "preprocessor_config.json").write_text(json.dumps(settings))


def eomt(split=True):
    from transformers import EomtConfig, EomtForUniversalSegmentation, EomtImageProcessor

    config = EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        num_queries=6,
        num_blocks=1,
        num_upscale_blocks=2,
        **_labels(),
    )
    size = {"shortest_edge": 64, "longest_edge": None if split else 64}
    processor = EomtImageProcessor(
        image_mean=MEAN, image_std=STD, size=size, do_split_image=split, do_pad=not split
    )
    return EomtForUniversalSegmentation(config), processor


FAMILIES = {
    "segformer": segformer,
    "upernet": upernet,
    "dpt": dpt,
    "mask2former": mask2former,
    "maskformer": maskformer,
    "oneformer": oneformer,
    "eomt": eomt,
}


def save(family, folder, **options):
    """Writes `config.json`, `model.safetensors` and the processor's files, as the hub has them."""
    torch.manual_seed(3)
    model, processor = FAMILIES[family](**options)
    if family == "oneformer":
        torch.manual_seed(2)  # versions of transformers take different random numbers to make it
    # Fresh weights are all but zero; a real network's answers are not.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)
