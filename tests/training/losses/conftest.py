from types import SimpleNamespace

import numpy as np
import pytest
import torch


@pytest.fixture
def pixels(rng):
    """Two images of 4 x 5 pixels and three classes: inliers with and without a class, outliers, void."""
    kinds = rng.choice(["known", "classless", "outlier", "void"], (2, 4, 5), p=[0.5, 0.1, 0.25, 0.15])
    labels = np.where(kinds == "known", rng.integers(0, 3, kinds.shape), 255)

    def at(*wanted):
        """Where the pixels of these kinds are."""
        return [tuple(where) for where in np.argwhere(np.isin(kinds, wanted))]

    made = SimpleNamespace(
        logits=torch.from_numpy(rng.normal(0, 3, (2, 3, 4, 5))).requires_grad_(),
        labels=torch.from_numpy(labels).long(),
        inlier=torch.from_numpy((kinds == "known") | (kinds == "classless")),
        outlier=torch.from_numpy(kinds == "outlier"),
        kinds=kinds,
        at=at,
    )
    assert all((kinds == each).any() for each in ("known", "classless", "outlier", "void"))
    return made
