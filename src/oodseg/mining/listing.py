"""Lists the objects of a collection, the rarest, or the most similar to an example, first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oodseg.mining.similarity import ALONE, F32, cluster, duplicates, rarity


@dataclass(frozen=True)
class MinedObject:
    """One object of a collection.

    Attributes:
        image: Name of its image.
        number: Its place among the objects of that image in `predictions.json`, from 1.
        bbox: The tightest box around its mask, `(x, y, width, height)` in pixels.
        area: Pixels of its mask.
        confidence: Of its box, 0..1.
        region: Left, top and side of what its crop covers, in pixels of the image.
        outline: Path of an SVG: its mask in the crop.
        crop: Path of the crop, with `/`, from the folder of the list.
        mask: Likewise, its mask.
        rarity: 0 (the most ordinary) to 1 (the rarest).
        cluster: Group of objects that look alike, from 1; 0 for none.
        stands_for: Near-duplicates that it stands for: `(image, number)` each.
        similarity: Cosine similarity to the most similar example, -1..1; None without examples.
    """

    image: str
    number: int
    bbox: tuple[float, float, float, float]
    area: int
    confidence: float
    region: tuple[int, int, int]
    outline: str
    crop: str
    mask: str
    rarity: float = 0.0
    cluster: int = 0
    stands_for: tuple[tuple[str, int], ...] = ()
    similarity: float | None = None


def rank(
    objects: Sequence[MinedObject], embeddings: F32, threshold: float, examples: F32 | None = None
) -> list[MinedObject]:
    """Drops near-duplicates and sorts the rest.

    Args:
        objects: As they were found.
        embeddings: `[N, D]`, of length 1.
        threshold: Cosine similarity from which two objects count as one; the more confident one is kept.
        examples: `[E, D]`: sorts by how similar objects are to one of these; None for rarity times
            confidence.

    Returns:
        Those that are kept, with all that is known of them.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    if not objects:
        return []
    confidence = np.array([each.confidence for each in objects])
    stands = duplicates(embeddings, np.argsort(-confidence, kind="stable"), threshold)
    kept = np.flatnonzero(stands == np.arange(len(objects)))
    rare, clusters = rarity(embeddings[kept]), cluster(embeddings[kept])
    similarity = None if examples is None else (embeddings[kept] @ examples.T).max(1)
    found = []
    for place, index in enumerate(kept.tolist()):
        others = [objects[other] for other in np.flatnonzero(stands == index).tolist() if other != index]
        found.append(
            replace(
                objects[index],
                rarity=round(float(rare[place]), 4),
                cluster=int(clusters[place]) - ALONE,
                stands_for=tuple((other.image, other.number) for other in others),
                similarity=None if similarity is None else round(float(similarity[place]), 4),
            )
        )
    return sorted(found, key=_worth)


def _worth(found: MinedObject) -> tuple[float, str, int]:
    value = found.rarity * found.confidence if found.similarity is None else found.similarity
    return -value, found.image, found.number
