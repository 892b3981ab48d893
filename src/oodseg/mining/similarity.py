"""Compares embeddings: near-duplicates, rarity, clusters. All of them have length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oodseg.core.errors import MissingDependencyError

F32 = NDArray[np.float32]

ALONE = -1
"""The cluster of what is in none."""

_BLOCK = 1024  # rows of the matrix of similarities that are in memory at once
_NEIGHBOURS = 5
_COMPONENTS = 16
_MIN_CLUSTER = 5
_WEAK = 0.1  # strength of membership, 0..1


def duplicates(embeddings: F32, order: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Finds near-duplicates: greedily, each object stands for all later ones that look like it.

    Args:
        embeddings: `[N, D]`.
        order: `[N]`: which object is considered first, second, ...
        threshold: Cosine similarity from which two objects count as one.

    Returns:
        int64 `[N]`: the object that stands for each; those that are kept stand for themselves.
    """
    stands = np.arange(len(embeddings))
    alike = _pairs(embeddings, threshold)
    decided = np.zeros(len(embeddings), bool)
    for first in order.tolist():
        if decided[first]:
            continue
        decided[first] = True
        for other in alike.get(first, ()):
            if not decided[other]:
                decided[other], stands[other] = True, first
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
            "clusters need scikit-learn: install it with `pip install 'oodseg[mining]'`"
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


def _pairs(embeddings: F32, threshold: float) -> dict[int, list[int]]:
    """For every object, the others that are at least as similar as the threshold, the most similar first."""
    alike: dict[int, list[int]] = {}
    for start in range(0, len(embeddings), _BLOCK):
        similarity = embeddings[start : start + _BLOCK] @ embeddings.T
        for row, values in enumerate(similarity):
            values[start + row] = -np.inf
            others = np.flatnonzero(values >= threshold)
            if len(others):
                alike[start + row] = others[np.argsort(-values[others], kind="stable")].tolist()
    return alike
