"""Weights that are a function of their names: the rule by which the published network was compared."""

import hashlib
import math

import numpy as np
import torch


def named_weight(name, shape):
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    x = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    if name.endswith("running_var"):
        x = 1 + 0.1 * np.abs(x)
    elif name.endswith("running_mean"):
        x = 0.1 * x
    elif name.endswith("bias"):
        x = 0.05 * x
    elif len(shape) == 4:
        x = x * np.float32(math.sqrt(1 / math.prod(shape[1:])))
    else:
        x = 1 + 0.1 * x
    return torch.from_numpy(x)
