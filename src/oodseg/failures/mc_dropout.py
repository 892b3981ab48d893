"""Monte Carlo dropout: the same features, some of them dropped at random."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.failures.calibration import Calibration
from oodseg.failures.sampled import Sampled
from oodseg.nn.tensors import resize
from oodseg.segmenters import Segmenter
from oodseg.segmenters.street import StreetNet, pad_to_stride


class MCDropout(Sampled):
    """Tests the class probabilities with features dropped at random (Gal & Ghahramani, ICML 2016).

    The same features are dropped every time.

    Args:
        segmenter: A street network, which was trained with dropout before its class layer.
        calibration: See `SegmenterAssessor`.
        passes: How often features are dropped.
        rate: Share of them, 0..1.
        quality: See `Sampled`.

    Raises:
        ConfigError: Another segmenter: where to drop is not known of it.
    """

    name = "mc_dropout"

    def __init__(
        self,
        segmenter: Segmenter,
        calibration: Calibration | None = None,
        passes: int = 8,
        rate: float = 0.3,
        quality: str = "confidence",
    ) -> None:
        super().__init__(segmenter, calibration, quality)
        if not isinstance(self.segmenter, StreetNet):
            raise ConfigError(
                f"mc_dropout works on the street network only, not on {self.segmenter.name}: choose tta or "
                "msp"
            )
        self.passes, self.rate = passes, rate

    def samples(self, image: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
        """See `Sampled.samples`; the prediction without dropout is judged, and is not one of them."""
        network = self.segmenter
        assert isinstance(network, StreetNet)
        height, width = image.shape[-2:]
        padded = pad_to_stride(image[None])
        features = network.features(padded)[2]

        def covering(logits: Tensor) -> Tensor:
            full = resize(logits.float(), (padded.shape[-2], padded.shape[-1]))
            return full[0, :, :height, :width]

        def drawn() -> Iterator[Tensor]:
            chance = torch.Generator().manual_seed(0)
            for _ in range(self.passes):
                kept = (torch.rand(features.shape, generator=chance) >= self.rate).to(features)
                yield covering(network.class_head(features * kept / (1 - self.rate)))

        return covering(network.class_head(features)).argmax(0), drawn()
