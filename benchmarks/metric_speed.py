"""Times the metrics: the full set over 60 images, and the component metric against a plain loop.

    python benchmarks/metric_speed.py [--images 60] [--height 720] [--width 1280]

Prints seconds, peak memory and the speed-up. The plain loop asks, for every label, which pixels carry it
(`np.unique`, `np.isin`), as the definition reads.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import cv2
import numpy as np

from oodseg.metrics import (
    TRACK_SIZES,
    BinnedPixels,
    ComponentCounter,
    InstanceCounter,
    MinimumSizes,
    PixelCurve,
    S2MCurve,
    ScoreExtremes,
    objects_of_mask,
    resample_weights,
)
from oodseg.metrics.components import match_components
from oodseg.metrics.pixel import cut


def scenes(count: int, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Smooth random scores with a few elliptic anomalies and an ignored sky."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        coarse = rng.standard_normal((height // 16, width // 16)).astype(np.float32)
        score = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        score += 0.3 * rng.standard_normal((height, width), dtype=np.float32)
        label = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(1, 6)):
            centre = (int(rng.integers(width)), int(rng.integers(height // 3, height)))
            axes = (int(rng.integers(8, 120)), int(rng.integers(8, 90)))
            cv2.ellipse(label, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        score[label == 1] += 2.0
        label[: height // 8] = 255
        yield score, label


def full_set(count: int, height: int, width: int) -> tuple[float, dict[str, float]]:
    """Every metric family, both passes, bootstrap included; returns seconds without making the scenes."""
    sizes = TRACK_SIZES["anomaly"]
    curve, extremes = PixelCurve(), ScoreExtremes()
    spent = 0.0
    for score, label in scenes(count, height, width):
        start = time.perf_counter()
        curve.update(score, label)
        extremes.update(score)
        spent += time.perf_counter() - start
    start = time.perf_counter()
    pixel = curve.compute()
    s2m, binned = S2MCurve(), BinnedPixels(curve.bin_edges())
    components, instances = ComponentCounter(sizes), InstanceCounter()
    spent += time.perf_counter() - start
    for score, label in scenes(count, height, width):
        start = time.perf_counter()
        confidence = extremes.normalize(score)
        mask = cut(score, pixel.threshold)
        s2m.update(confidence, label)
        binned.update(score, label)
        components.update(mask, label)
        instances.update(*objects_of_mask(mask, confidence, sizes.predicted), label)
        spent += time.perf_counter() - start
    start = time.perf_counter()
    weights = resample_weights(count)
    figures = {
        "AuPRC": pixel.auprc,
        "AuIoU": s2m.compute("code").auiou,
        "AuIoU (paper)": s2m.compute("paper").auiou,
        "F1*": components.compute().f1_mean,
        "AP": instances.compute().ap,
    }
    for counter in (binned, s2m, components, instances):
        counter.resample(weights)
    return spent + time.perf_counter() - start, figures


def plain_loop(mask: np.ndarray, label: np.ndarray, sizes: MinimumSizes) -> np.ndarray:
    """One component at a time: sizes first, then sIoU of the ground truth and PPV of the predictions."""
    truth, truths = cv2.connectedComponents((label == 1).astype(np.uint8), connectivity=8)[::-1]
    pred, preds = cv2.connectedComponents((mask & (label != 255)).astype(np.uint8), connectivity=8)[::-1]
    for p in range(1, preds):
        own = pred == p
        if np.count_nonzero(own) < sizes.predicted:
            pred[own] = 0
    for k in range(1, truths):
        own = truth == k
        if np.count_nonzero(own) < sizes.truth:
            truth[own], pred[own] = 0, 0
    siou: list[float] = []
    siou_predicted: list[float] = []
    ppv: list[float] = []
    for own, other, found in ((truth, pred, siou), (pred, truth, siou_predicted)):
        for k in np.unique(own[own > 0]):
            here = other[own == k]
            touching = np.unique(here[here > 0])
            inter = np.count_nonzero(np.isin(here, touching))
            elsewhere = np.count_nonzero(~np.isin(own, [0, k]) & np.isin(other, touching))
            union = np.count_nonzero(np.isin(other, touching)) + np.count_nonzero(own == k) - inter
            found.append(inter / (union - elsewhere))
            if own is pred:
                ppv.append(inter / np.count_nonzero(own == k))
    return np.array(sorted(siou) + sorted(siou_predicted) + sorted(ppv))


def component_speed(count: int, height: int, width: int) -> tuple[float, float, float]:
    """Components and seconds per image of the plain loop and of ours, on the same masks with one result."""
    sizes, components = TRACK_SIZES["obstacle"], 0
    slow = fast = 0.0
    for score, label in scenes(count, height, width):
        mask = cv2.GaussianBlur(score, (0, 0), 1.0) > 1.0
        components += cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]
        start = time.perf_counter()
        expected = plain_loop(mask, label, sizes)
        slow += time.perf_counter() - start
        start = time.perf_counter()
        found = match_components(mask, label, sizes)
        fast += time.perf_counter() - start
        ours = np.concatenate([np.sort(v) for v in (found.siou, found.siou_predicted, found.ppv)])
        np.testing.assert_allclose(ours, expected)
    return components / count, slow / count, fast / count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    options = parser.parse_args()
    shape = (options.height, options.width)
    seconds, figures = full_set(options.images, *shape)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"full metric set, {options.images} images of {shape[1]}x{shape[0]}: ", end="")
    print(f"{seconds:.1f} s, peak {peak:.0f} MB")
    print("  " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    components, slow, fast = component_speed(3, *shape)
    print(f"component metric, masks of {components:.0f} components: plain loop {slow:.2f} s, ", end="")
    print(f"ours {fast * 1000:.0f} ms: {slow / fast:.0f} times the speed")


if __name__ == "__main__":
    main()
