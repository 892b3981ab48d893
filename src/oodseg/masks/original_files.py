"""Reads checkpoint files of the original SAM and MobileSAM releases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from oodseg.core.errors import WeightsError
from oodseg.masks.meta_checkpoints import build_sam
from oodseg.masks.mobile_sam import build_mobile_sam
from oodseg.nn.hub import library_class

if TYPE_CHECKING:
    from torch import Tensor


def load_original(path: Path) -> tuple[Any, Any]:
    """Reads a checkpoint file of the original SAM or MobileSAM release.

    Args:
        path: The file; opened with `weights_only`, so nothing in it is executed.

    Returns:
        A `SamModel` in eval mode and without gradients, and its `SamImageProcessor`.

    Raises:
        WeightsError: The file is missing, damaged, or not of that layout.
        MissingDependencyError: transformers (for MobileSAM also timm) is not installed.
    """
    state = _read(path)
    try:
        if "image_encoder.patch_embed.seq.0.c.weight" in state:
            model = build_mobile_sam(state)
        else:
            model = build_sam(state)
    except (KeyError, ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
        fault = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise WeightsError(
            f"{path} is not a checkpoint of the original SAM or MobileSAM release ({fault}): give such a "
            "file, or for other families a folder in the hub's format"
        ) from error
    side = model.config.vision_config.image_size
    square = {"height": side, "width": side}
    processor = library_class("SamImageProcessor")(size={"longest_edge": side}, pad_size=square)
    return model.eval().requires_grad_(False), processor


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            f"the checkpoint file {path} cannot be read ({error.strerror}): check its path and permissions"
        ) from error
    except Exception as error:  # Damaged files raise whatever the unpickler stumbles over.
        raise WeightsError(
            f"the checkpoint file {path} is damaged or holds more than tensors: fetch it again, or give a "
            "folder in the hub's format"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise WeightsError(
            f"the checkpoint file {path} is not a plain dictionary of tensors: save its state_dict"
        )
    return state
