"""Lists well-known checkpoints, their licences, and whether oodseg may fetch them by itself."""

from __future__ import annotations

from dataclasses import dataclass

_APACHE, _MIT = "Apache-2.0", "MIT"
_UNSURE = "see the model card"


@dataclass(frozen=True)
class KnownModel:
    """A checkpoint that works with this package.

    Attributes:
        id: Hub id (`owner/name`), or the name of a file that its makers give away elsewhere.
        room: `"segmenters"` or `"masks"`.
        family: Name of the adapter in that room: what stands before the colon in `family:id`.
        weights_licence: Licence of the weights, as far as we know it; the model card decides.
        code_licence: Licence of the code that runs them here.
        permissive: Whether the weights may be fetched without asking (Apache, MIT and BSD licences).
        gated: Whether the hub gives them only to those who accepted their terms there.
        note: What else one should know.
    """

    id: str
    room: str
    family: str
    weights_licence: str
    code_licence: str = _APACHE
    permissive: bool = False
    gated: bool = False
    note: str = ""


def _nvidia_segformer() -> list[KnownModel]:
    licence = "NVIDIA Source Code License (non-commercial)"
    names = [f"segformer-b{size}-finetuned-cityscapes-1024-1024" for size in range(6)]
    names.append("segformer-b0-finetuned-ade-512-512")
    return [KnownModel(f"nvidia/{name}", "segmenters", "segformer", licence) for name in names]


def _mask_classifiers() -> list[KnownModel]:
    noncommercial = f"CC-BY-NC-4.0 for the release; {_UNSURE}"
    found = [
        KnownModel(
            f"facebook/mask2former-swin-{size}-cityscapes-semantic",
            "segmenters",
            "mask2former",
            noncommercial,
        )
        for size in ("tiny", "small", "large")
    ]
    found += [
        KnownModel(f"facebook/maskformer-swin-{size}-ade", "segmenters", "maskformer", noncommercial)
        for size in ("tiny", "small", "base", "large")
    ]
    found += [
        KnownModel(f"shi-labs/oneformer_{name}", "segmenters", "oneformer", _MIT, permissive=True)
        for name in ("cityscapes_swin_large", "ade20k_swin_tiny", "ade20k_swin_large")
    ]
    found += [
        KnownModel(f"tue-mps/{name}", "segmenters", "eomt", _MIT, permissive=True)
        for name in (
            "cityscapes_semantic_eomt_large_1024",
            "ade20k_semantic_eomt_large_512",
            "coco_panoptic_eomt_large_640",
        )
    ]
    return found


def _other_segmenters() -> list[KnownModel]:
    found = [
        KnownModel(f"openmmlab/upernet-{name}", "segmenters", "upernet", _MIT, permissive=True)
        for name in ("convnext-tiny", "convnext-small", "convnext-base", "swin-tiny", "swin-base")
    ]
    found.append(KnownModel("Intel/dpt-large-ade", "segmenters", "dpt", _APACHE, permissive=True))
    found += [
        KnownModel(
            name,
            "segmenters",
            "torchvision",
            "see torchvision's model documentation",
            "BSD-3-Clause",
            note="used from torch's cache or a file, never fetched",
        )
        for name in ("deeplabv3_resnet50", "deeplabv3_resnet101", "lraspp_mobilenet_v3_large", "fcn_resnet50")
    ]
    found += [
        KnownModel(
            f"{name} ({release})",
            "segmenters",
            "deepwv3plus",
            "see its release; trained on Cityscapes, non-commercial",
            note="a file of the release; give its path",
        )
        for release, name in (
            ("NVIDIA, SynBoost", "cityscapes_best.pth"),
            ("Meta-OoD", "DeepLabV3+_WideResNet38_epoch_4_alpha_0.9.pth"),
            ("PEBAL", "best_ad_ckpt.pth"),
            ("RPL+CoroCL", "rev3.pth"),
        )
    ]
    return found


def _promptable() -> list[KnownModel]:
    def free(family: str, *ids: str) -> list[KnownModel]:
        return [KnownModel(each, "masks", family, _APACHE, permissive=True) for each in ids]

    sam2 = [
        f"facebook/sam{version}-hiera-{size}"
        for version in ("2", "2.1")
        for size in ("tiny", "small", "base-plus", "large")
    ]
    files = ("sam_vit_b_01ec64.pth", "sam_vit_l_0b3195.pth", "sam_vit_h_4b8939.pth", "mobile_sam.pt")
    return [
        *free("sam", *(f"facebook/sam-vit-{size}" for size in ("base", "large", "huge"))),
        *free("sam_hq", *(f"syscv-community/sam-hq-vit-{size}" for size in ("base", "large", "huge"))),
        *free("sam2", *sam2),
        *free("edgetam", "yonigozlan/EdgeTAM-hf"),
        KnownModel("facebook/sam3", "masks", "sam3", "SAM License", gated=True),
        *(
            KnownModel(name, "masks", "sam", _APACHE, note="a file of the original release; give its path")
            for name in files
        ),
        KnownModel(
            "FastSAM-s.onnx, FastSAM-x.onnx",
            "masks",
            "fastsam",
            "AGPL-3.0",
            note="copyleft weights: an ONNX export of your own; give its path",
        ),
    ]


MODELS: dict[str, KnownModel] = {
    model.id: model
    for model in (*_nvidia_segformer(), *_mask_classifiers(), *_other_segmenters(), *_promptable())
}
