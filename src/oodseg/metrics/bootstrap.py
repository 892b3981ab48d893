"""95 % intervals by resampling pictures (Efron 1979, percentile method).

Pictures, not pixels, are the independent draws: neighbouring pixels say the same thing. All resampled sets
are scored at once from per-picture records as matrix products. With a handful of pictures an interval is
itself rough; it is still the honest answer to how much one picture moves the number.
"""

from __future__ import annotations

import numpy as np

from oodseg.metrics.pixel import F64


def resample_weights(pictures: int, resamples: int = 1000, seed: int = 0) -> F64:
    """Draws resampled sets.

    Args:
        pictures: Pictures in the set, > 0.
        resamples: Number of resampled sets B.
        seed: Same seed, same sets.

    Returns:
        Float64 `[B, pictures]`: how often each picture was drawn; every row sums to `pictures`.

    Raises:
        ValueError: No picture.
    """
    if pictures < 1:
        raise ValueError("cannot resample an empty set")
    rng = np.random.default_rng(seed)
    return rng.multinomial(pictures, np.full(pictures, 1.0 / pictures), size=resamples).astype(np.float64)


def interval(samples: F64, level: float = 0.95) -> tuple[float, float]:
    """Returns the central `level` interval of resampled figures, leaving out undefined (NaN) ones."""
    defined = samples[np.isfinite(samples)]
    if defined.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
