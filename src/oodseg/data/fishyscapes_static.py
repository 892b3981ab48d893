"""Fishyscapes Static as published (Blum et al., IJCV 2021, arXiv 1904.03215): overlays on Cityscapes
images.

A folder of `NNNN_NAME_rgb.npz` (what to add to the Cityscapes validation image, array `rgb`) and
`NNNN_NAME_labels.png` (0 in-distribution, anything else void). A pixel with an overlay is anomalous. The
images are put together once, into `oodseg-composed/` in that folder, as `images/` and `labels/`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.files import atomic_path
from oodseg.data.files import by_name, image_of, label_of
from oodseg.data.frames import ANOMALY, BINARY, IGNORE, BenchmarkSet, Frame
from oodseg.io.images import read_image
from oodseg.io.labels import read_label

_OVERLAY, COMPOSED = "_rgb.npz", "oodseg-composed"


def matches(root: Path) -> bool:
    """Tells whether the folder holds overlays."""
    return any(path.name.endswith(_OVERLAY) for path in by_name(root))


def read(root: Path, split: str) -> BenchmarkSet:
    """Composes the images and labels that are still missing, and lists all frames.

    Raises:
        DatasetError: No Cityscapes `leftImg8bit/val` in or beside the folder, or an image missing from it.
    """
    frames = []
    for overlay in [path for path in by_name(root) if path.name.endswith(_OVERLAY)]:
        stem = overlay.name.removesuffix(_OVERLAY)
        image, label = (root / COMPOSED / kind / f"{stem}.png" for kind in ("images", "labels"))
        if not (image.is_file() and label.is_file()):
            _compose(root, overlay, image, label)
        frames.append(Frame(stem, image, label, BINARY))
    return BenchmarkSet(
        "fishyscapes_static",
        "Fishyscapes Static",
        split,
        root,
        tuple(frames),
        "Cityscapes terms: non-commercial, no redistribution",
        "anomaly",
        "fishyscapes_static",
    )


def _compose(root: Path, overlay: Path, image: Path, label: Path) -> None:
    from PIL import Image

    name = overlay.name.removesuffix(_OVERLAY).partition("_")[2]
    base = _cityscapes(root, name)
    with np.load(overlay, allow_pickle=False) as file:
        added = file["rgb"].astype(np.int32)
    below = read_image(base).astype(np.int32)
    if added.shape != below.shape:
        raise DatasetError(f"{overlay} differs in size from {base}: they belong to different versions")
    void = read_label(label_of(root / overlay.name.replace(_OVERLAY, "_labels.png"))) != 0
    truth = void * np.uint8(IGNORE)
    truth[(added != 0).any(axis=2)] = ANOMALY
    for path, pixels in ((image, np.clip(below + added, 0, 255).astype(np.uint8)), (label, truth)):
        with atomic_path(path) as temporary:
            Image.fromarray(pixels).save(temporary, format="PNG")


def _cityscapes(root: Path, name: str) -> Path:
    town = name.partition("_")[0]
    for parent in (root, root.resolve().parent):
        found = image_of(parent / "leftImg8bit" / "val" / town / f"{name}_leftImg8bit")
        if found:
            return found
    raise DatasetError(
        f"{root} holds Fishyscapes overlays without the Cityscapes image {name}_leftImg8bit.png: put "
        "Cityscapes' leftImg8bit/val in or beside the folder"
    )
