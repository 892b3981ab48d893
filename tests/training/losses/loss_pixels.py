"""How the tests of losses look at single pixels."""

import numpy as np


def of(tensor, b, y, x):
    """A pixel's values as plain numbers."""
    return tensor.detach().numpy()[b, :, y, x].astype(float)


def softmax(values):
    power = np.exp(values - values.max())
    return power / power.sum()
