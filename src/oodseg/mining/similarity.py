"""Compares embeddings: near-duplicates, rarity, clusters. All of them have length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_extra

F32 = NDArray[np.float32]

ALONE = -1
"""The cluster of what is in none."""

_BLOCK = 1024  # rows of the matrix of similarities that are in memory at once
_NEIGHBOURS = 5
_COMPONENTS = 16
_MIN_CLUSTER = 5
_WEAK = 0.1  # strength of membership, 0..1


def duplicates(embeddings: F32, order: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Finds near-duplicates: an object that looks like one before it is left out.

    Args:
        embeddings: `[N, D]`.
        order: `[N]`: which object comes first, second, ...
        threshold: Cosine similarity from which two objects count as one.

    Returns:
        int64 `[N]`: the object that stands for each, of those that are kept the most similar one; they stand
        for themselves.
    """
    stands, kept = np.arange(len(embeddings)), np.zeros(0, np.int64)
    for block in np.split(order, range(_BLOCK, len(order), _BLOCK)):
        to_kept, within = embeddings[block] @ embeddings[kept].T, embeddings[block] @ embeddings[block].T
        rows: list[int] = []  # of those in this block that are kept
        for row, index in enumerate(block.tolist()):
            similarity = np.concatenate([to_kept[row], within[row, rows]])
            if len(similarity) and similarity.max() >= threshold:
                stands[index] = np.concatenate([kept, block[rows]])[similarity.argmax()]
            else:
                rows.append(row)
        kept = np.concatenate([kept, block[rows]])
    return stands


def rarity(embeddings: F32) -> NDArray[np.float64]:
    """Measures how far every object is from those that look most like it.

    The distance is one minus the cosine similarity, averaged over the five nearest, and then given as its
    rank: the share of the other objects that are nearer to theirs.

    Args:
        embeddings: `[N, D]`, without near-duplicates.

    Returns:
        Float64 `[N]`, 0 (the most ordinary) to 1 (the rarest).
    """
    count = len(embeddings)
    if count < 2:
        return np.ones(count)
    nearest = min(_NEIGHBOURS, count - 1)
    distance = np.empty(count)
    for start in range(0, count, _BLOCK):
        similarity = embeddings[start : start + _BLOCK] @ embeddings.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf  # not with itself
        distance[start : start + _BLOCK] = 1 - np.partition(similarity, -nearest, 1)[:, -nearest:].mean(1)
    ranks = np.searchsorted(np.sort(distance), distance) / (count - 1)
    return np.asarray(ranks, np.float64)


def cluster(embeddings: F32) -> NDArray[np.int64]:
    """Groups objects that look alike: HDBSCAN (Campello et al., PAKDD 2013) on principal components.

    Args:
        embeddings: `[N, D]`, without near-duplicates.

    Returns:
        int64 `[N]`: clusters from 0, the largest first; -1 for objects in none.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import HDBSCAN
        from sklearn.decomposition import PCA
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("sklearn"):
            raise
        raise MissingDependencyError(
            f"clusters need scikit-learn: install it with `{install_extra('mining')}`"
        ) from error
    if len(embeddings) < 2 * _MIN_CLUSTER:
        return np.full(len(embeddings), ALONE)
    components = min(_COMPONENTS, *embeddings.shape)
    reduced = PCA(components, random_state=0).fit_transform(embeddings)
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True).clip(1e-9)
    # Leaves of the hierarchy: small groups of one kind rather than a large one of many.
    settings = {"min_cluster_size": _MIN_CLUSTER, "min_samples": 2, "cluster_selection_method": "leaf"}
    grouped = HDBSCAN(**settings, copy=True).fit(reduced)
    # What hardly belongs to its cluster is there only because it is even farther from the others.
    found = np.where(grouped.probabilities_ < _WEAK, ALONE, grouped.labels_)
    sizes = np.bincount(found[found >= 0]) if (found >= 0).any() else np.zeros(0, int)
    rank = np.empty(len(sizes) + 1, np.int64)
    rank[np.argsort(-sizes, kind="stable")], rank[-1] = np.arange(len(sizes)), ALONE
    return np.asarray(rank[found], np.int64)
