"""Reads checkpoint files of the original SAM and MobileSAM releases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import WeightsError
from oodseg.masks.meta_checkpoints import build_sam
from oodseg.masks.mobile_sam import build_mobile_sam
from oodseg.nn.checkpoints import read_state_dict
from oodseg.nn.hub import library_class

if TYPE_CHECKING:
    from torch import Tensor

_FIRST = "image_encoder."  # in names of all releases


def load_original(path: Path) -> tuple[Any, Any]:
    """Reads a checkpoint file of the original SAM or MobileSAM release.

    Args:
        path: The file; see `read_state_dict`: nothing in it is executed.

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
    """The tensors, without what a training has put before every name, such as `sam.`."""
    state = read_state_dict(path)
    prefix = next((name.partition(_FIRST)[0] for name in state if _FIRST in name), "")
    if not all(name.startswith(prefix) for name in state):
        return state
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}
