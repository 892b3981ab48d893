"""A page of samples: what the generator makes beside what it should."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor


def sample_page(images: Tensor, labels: Tensor, fake: Tensor, classes: int) -> bytes:
    """Draws label map, image and re-synthesis side by side, one row per image, as PNG."""
    hues = np.arange(classes + 1) * 180 // (classes + 1)
    palette = cv2.cvtColor(
        np.stack([hues, np.full_like(hues, 160), np.full_like(hues, 220)], 1)[None].astype(np.uint8),
        cv2.COLOR_HSV2RGB,
    )[0]
    rows = []
    for image, codes, made in zip(
        images.cpu().numpy(), labels.cpu().numpy(), fake.cpu().numpy(), strict=True
    ):
        painted = palette[np.minimum(codes, classes)]
        drawn = (made * 255).round().astype(np.uint8).transpose(1, 2, 0)
        rows.append(np.concatenate([painted, image.transpose(1, 2, 0), drawn], 1))
    page = np.concatenate(rows)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(page[..., ::-1]))[1])
