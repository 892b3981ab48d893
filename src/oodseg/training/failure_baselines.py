"""Builds and trains the baselines of SynthCP, as far as a segmenter lends itself to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from oodseg.core.progress import Progress, track
from oodseg.failures.augmented import TestTimeAugmentation
from oodseg.failures.autoencoder import Autoencoder
from oodseg.failures.baselines import MSP, Energy, Entropy, MaxLogit
from oodseg.failures.crf import CRF
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.feature_distance import FeatureDistance
from oodseg.failures.mc_dropout import MCDropout
from oodseg.failures.observer import Observer
from oodseg.failures.tcp import TCP
from oodseg.failures.vae_alarm import VAEAlarm
from oodseg.io.images import to_tensor
from oodseg.segmenters import Segmentation, Segmenter
from oodseg.segmenters.street import StreetNet
from oodseg.training.autoencoder import train_autoencoder
from oodseg.training.comparator import ComparatorRecipe
from oodseg.training.labelled import Labelled
from oodseg.training.observer import train_observer
from oodseg.training.tcp import train_tcp
from oodseg.training.vae_alarm import train_vae


def train_baselines(
    recipe: ComparatorRecipe,
    images: Sequence[Labelled],
    segmenter: Segmenter,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> list[SegmenterAssessor]:
    """Builds the baselines, and trains those that learn.

    Args:
        recipe: The settings: those of the parts, and `learned_baselines`.
        images: To learn on: those that the segmenter learned on.
        segmenter: The segmenter under test.
        out: Folder of the run: `tcp/`, `observer/`, `autoencoder/`, `vae_alarm/`.
        resume: Take what earlier runs in that folder finished, and go on from their checkpoints.
        progress: Told after every step.

    Returns:
        Not calibrated yet; those that read features only where the segmenter hands out any.
    """
    detectors: list[SegmenterAssessor] = [kind(segmenter) for kind in (MSP, Entropy, Energy, MaxLogit, CRF)]
    detectors.append(TestTimeAugmentation(segmenter))
    if isinstance(segmenter, StreetNet):
        detectors.append(MCDropout(segmenter, rate=recipe.segmenter.dropout))
    wanted, views = recipe.learned_baselines, recipe.segmenter
    if segmenter.segment(torch.zeros(1, 3, *views.size)).features is not None:
        if "tcp" in wanted:
            settings = recipe.tcp.reseeded(recipe.seed)
            head = train_tcp(settings, views, segmenter, images, out / "tcp", resume, progress)
            detectors.append(TCP(segmenter, head))
        if "mahalanobis" in wanted:
            distance = FeatureDistance(segmenter)
            distance.fit(_segmented(recipe, images, segmenter, progress))
            detectors.append(distance)
        if "observer" in wanted:
            watching = recipe.observer.reseeded(recipe.seed)
            observer = train_observer(watching, views, segmenter, images, out / "observer", resume, progress)
            detectors.append(Observer(segmenter, observer))
    if "autoencoder" in wanted:
        painting = recipe.autoencoder.reseeded(recipe.seed)
        network = train_autoencoder(painting, images, out / "autoencoder", resume, progress)
        detectors.append(Autoencoder(segmenter, network))
    if "vae_alarm" in wanted:
        shapes, count = recipe.vae.reseeded(recipe.seed), len(segmenter.classes)
        vae = train_vae(shapes, count, images, out / "vae_alarm", resume, progress)
        detectors.append(VAEAlarm(segmenter, vae))
    return detectors


def _segmented(
    recipe: ComparatorRecipe, images: Sequence[Labelled], segmenter: Segmenter, progress: Progress | None
) -> Iterator[tuple[Segmentation, Tensor]]:
    """As many segmented images as the detectors are calibrated on, evenly spread, with their truth."""
    chosen = images[:: -(-len(images) // recipe.calibration_images)]
    with torch.inference_mode():
        for each in track(chosen, "fitting mahalanobis", progress):
            image, truth = each.read()
            yield segmenter.segment(to_tensor(image)[None]), torch.from_numpy(truth)
