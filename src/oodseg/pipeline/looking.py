"""Shows images to a pipeline's detector: one, several at once, or all that it is to be fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from oodseg.core.devices import at_precision, device_errors
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, Fittable, Sight
from oodseg.core.stages import Stages
from oodseg.io.discovery import named_images
from oodseg.io.images import as_image, resize, to_tensor
from oodseg.io.resized import ResizedImages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Looking(Stages):
    """The part of `oodseg.pipeline.S2M` that runs its detector."""

    def fit(self, images: Any) -> None:
        """Fits the detector, in place, to images in which nothing is unknown.

        Args:
            images: A folder, a file, a glob, or a list of whatever `__call__` takes; some hundred images.

        Raises:
            ConfigError: There is no detector, or a generator in place of a list.
            ImageError: An image cannot be read.
            ScoreMapError: No image, or scores that do not vary.
        """
        detector = self.needed_detector()
        self.forget_guarantee()
        items = named_images(images)
        with at_precision(self.precision), device_errors(self.device):
            if isinstance(detector, Fittable):
                if isinstance(items, Iterator):
                    raise ConfigError(
                        "the images to fit on are read twice: give a list of them, not a generator"
                    )
                detector.fit(ResizedImages(items, self.working_size, self.device))
            else:
                scores = (self.detector_score(as_image(each)) for each in items)
                detector.normalizer = ScoreNormalizer.fit(scores)

    def detector_score(self, image: NDArray[np.uint8]) -> Tensor:
        """Computes the detector's scores of an image at the working size, not normalised.

        Args:
            image: uint8 `[H, W, 3]`, RGB.

        Returns:
            Float32 `[h, w]`, on the pipeline's device.

        Raises:
            ConfigError: The pipeline has no detector.
        """
        return self.look(image).scores[0]

    def look(self, image: NDArray[np.uint8]) -> Sight:
        """Runs the detector on an image: scores `[1, h, w]` at the working size, and features.

        It sees the image in as many times that size as it wants, where it is that large.

        Args:
            image: uint8 `[H, W, 3]`, RGB.

        Raises:
            ConfigError: The pipeline has no detector.
            ImageError: The image does not fit into the device's memory.
        """
        return self.look_at([image])[0]

    def look_at(self, images: Sequence[NDArray[np.uint8]]) -> list[Sight]:
        """Runs the detector on several images, those of one working size at once; else as `look`.

        Args:
            images: uint8 `[H, W, 3]` each, RGB.

        Returns:
            For each image what `look` gives.

        Raises:
            ConfigError: The pipeline has no detector.
            ImageError: They do not fit into the device's memory.
        """
        import torch

        detector = self.needed_detector()
        alike: dict[tuple[int, int, int], list[int]] = {}
        for index, image in enumerate(images):
            height, width = self.working_size(*image.shape[:2])
            zoom = detector.zoom if detector.zoom * max(height, width) <= max(image.shape[:2]) else 1
            alike.setdefault((height, width, zoom), []).append(index)
        found: dict[int, Sight] = {}
        what = "the image" if len(images) == 1 else f"the batch of {len(images)} images"
        with torch.inference_mode(), at_precision(self.precision), device_errors(self.device, what):
            for (height, width, zoom), places in alike.items():
                seen = [to_tensor(resize(images[at], zoom * height, zoom * width)) for at in places]
                sight = detector.look(torch.stack(seen).to(self.device), zoom)
                for row, at in enumerate(places):
                    features = sight.features
                    if features is not None:
                        features = tuple(level[row : row + 1] for level in features)
                    found[at] = Sight(sight.scores[row : row + 1], features)
        return [found[index] for index in range(len(images))]

    def needed_detector(self) -> Detector:
        """Returns the detector.

        Raises:
            ConfigError: There is none.
        """
        if self.detector is None:
            raise ConfigError("this pipeline has no detector: hand in a score map with every image")
        return self.detector


def not_finite(detector: Detector) -> str:
    """Words the error where the scores of a detector hold NaN or infinite values."""
    fault = next((name for name, each in detector.learned_tensors() if not bool(each.isfinite().all())), None)
    why = (
        "though its weights are: its network overflows or divides by zero here; try --precision full "
        "(S2M(..., precision='full')), or look at what the network gives"
        if fault is None
        else f"for its weights are not (first of them {fault}): take those of an earlier checkpoint"
    )
    return f"the detector '{detector.name}' gave scores that are not finite, {why}"
