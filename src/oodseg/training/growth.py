"""Grows a trained street network: wider and deeper, with exactly the same outputs at first.

After Net2Net (Chen et al., ICLR 2016), but new channels begin at random and unread, where Net2Net copies
old ones: nothing but the weights that will read them has to find a use for them.
"""

from __future__ import annotations

import torch

from oodseg.core.errors import ConfigError
from oodseg.segmenters.street import StreetNet


def grow(small: StreetNet, large: StreetNet) -> StreetNet:
    """Puts a network's weights into a new one that has at least its widths and depths.

    Old channels keep their weights, and do not read new ones; new blocks add nothing; all of it can be
    learned. Batch statistics of old channels are kept too.

    Args:
        small: The trained network.
        large: A new network, changed in place.

    Returns:
        `large`, of which both outputs are those of `small`.

    Raises:
        ConfigError: `large` is smaller somewhere, or it has other classes or no objectness.
    """
    fits = small.classes == large.classes and small.objectness == large.objectness
    for old, new in ((small.widths, large.widths), (small.depths, large.depths)):
        fits = fits and all(have <= want for have, want in zip(old, new, strict=True))
    if not fits:
        raise ConfigError(
            f"a network of {small.config} cannot grow into one of {large.config}: "
            "give at least its widths and depths, and its classes"
        )
    known, state = small.state_dict(), large.state_dict()
    with torch.no_grad():
        for name, target in state.items():
            if name not in known:
                if name.endswith("second.1.weight"):  # the last scale of a new residual block
                    target.zero_()
                continue
            source = known[name]
            if target.ndim == 4:
                target[: source.shape[0], source.shape[1] :] = 0
            target[tuple(slice(side) for side in source.shape)] = source
    large.load_state_dict(state)
    return large
