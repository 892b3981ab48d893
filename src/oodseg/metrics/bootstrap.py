"""95 % intervals by resampling images (Efron 1979, percentile method).

Images, not pixels, are the independent draws: neighbouring pixels say the same thing. All resampled sets
are scored at once from per-image records as matrix products. With a handful of images an interval is
itself rough; it is still the honest answer to how much one image moves the number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodseg.metrics.pixel import F64


def resample_weights(images: int, resamples: int = 1000, seed: int = 0) -> F64:
    """Draws resampled sets.

    Args:
        images: Images in the set, > 0.
        resamples: Number of resampled sets B.
        seed: Same seed, same sets.

    Returns:
        Float64 `[B, images]`: how often each image was drawn; every row sums to `images`.

    Raises:
        ValueError: No image.
    """
    if images < 1:
        raise ValueError("cannot resample an empty set")
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1.0 / images), size=resamples).astype(np.float64)


def measurable(weights: F64, anomalous: NDArray[Any], ordinary: NDArray[Any]) -> NDArray[np.bool_]:
    """Tells which resampled sets hold both an anomaly and in-distribution pixels.

    Without an anomaly there is nothing to find, and without anything else nothing to tell it from: figures
    are undefined then, not 0.

    Args:
        weights: Float64 `[B, images]`, how often each image is in each resampled set.
        anomalous: How much there is to find in each image, `[images]`: pixels, components or objects.
        ordinary: In-distribution pixels of each image, `[images]`.

    Returns:
        Bool `[B]`.
    """
    found: NDArray[np.bool_] = (weights @ anomalous > 0) & (weights @ ordinary > 0)
    return found


def interval(samples: F64, level: float = 0.95) -> tuple[float, float]:
    """Returns the central `level` interval of resampled figures, leaving out undefined (NaN) ones."""
    defined = samples[np.isfinite(samples)]
    if defined.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
