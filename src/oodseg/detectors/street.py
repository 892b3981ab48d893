"""The bundled detector: objectness beside the uncertainty of the street network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, Learned, Sight
from oodseg.nn.graphs import Axes, Graph, Tensors
from oodseg.nn.runner import Runner
from oodseg.nn.tensors import resize_scores
from oodseg.nn.uncertainty import energy, entropy
from oodseg.segmenters.street import STRIDE, StreetNet, pad_to_stride
from oodseg.segmenters.street_ensemble import some_members

MAIN = "combined"
# Classes of the ground, and the side of the window over which their probability is averaged, in cells of
# 4 pixels: wide enough that a thing on the road counts as standing on it.
_GROUND = ("drivable", "non-drivable")
_WINDOW = 21


class _Outputs(nn.Module):
    """What the detector reads of the street network: features at strides 8 and 16, logits, objectness."""

    def __init__(self, network: StreetNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensors:
        levels = self.network.features(images)
        logits, objectness = self.network.heads(levels)
        found = (levels[1], levels[0], logits)
        return found if objectness is None else (*found, objectness)


def _runner(network: StreetNet) -> Runner:
    def maps(channels: int, name: str) -> Axes:
        return ("batch", channels, f"{name}_rows", f"{name}_columns")

    outputs: dict[str, Axes] = {
        "fine": maps(network.widths[2], "fine"),
        "coarse": maps(network.widths[3], "coarse"),
        "logits": maps(len(network.classes), "logits"),
    }
    if network.objectness:
        outputs["objectness"] = ("batch", "half_height", "half_width")
    images: Axes = ("batch", 3, "height", "width")
    graph = Graph("street", _Outputs(network), {"images": images}, outputs)
    return Runner(network, graph, _example)


def _example() -> Tensors:
    return (torch.rand(1, 3, 3 * STRIDE, 4 * STRIDE, generator=torch.Generator().manual_seed(0)),)


class StreetDetector(ModulePart, Detector, Learned):
    """Scores "a thing, and none that I know": a weighted sum of objectness, entropy and energy.

    Each of the three is brought to mean 0 and standard deviation 1 on in-distribution images before
    they are added.

    Args:
        network: The segmenter, which also says where things are.
        combination: Weight of `"objectness"`, `"entropy"` and `"energy"` in the shipped score.
        statistics: Mean and standard deviation on in-distribution images of each of the three; also of
            `"combined"`, which is the detector's `normalizer`.
        reductions: Whole factors by which the image is reduced before the network looks at it, once for
            each; what it says is averaged. A reduced image shows large objects whole and costs little.
        detail: How far a look at the image in twice the size, where there is one, raises the score on the
            ground, 0..1: small things far away show in it alone. Off the ground, where large images are
            full of details that are nothing, it counts less.
        close_members: Which members of an ensemble take that look, by their places from 0: it costs four
            times a look at the image itself. None: all of them.
    """

    name = "street"
    subparts: ClassVar = {"network": "segmenters"}

    def __init__(
        self,
        network: StreetNet,
        combination: Mapping[str, float] | None = None,
        statistics: Mapping[str, Sequence[float]] | None = None,
        reductions: Sequence[int] = (1,),
        detail: float = 0.0,
        close_members: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not reductions or min(reductions) < 1:
            raise ConfigError(f"the street detector needs reductions of at least 1, not {list(reductions)}")
        if not 0 <= detail <= 1:
            raise ConfigError(f"detail of the street detector must lie between 0 and 1, got {detail}")
        self.reductions, self.detail = tuple(reductions), float(detail)
        self.network = network.to(memory_format=torch.channels_last)
        self._runner = _runner(self.network)
        self.close_members = None if close_members is None else tuple(close_members)
        self._close_runner = self._runner
        if self.close_members is not None:
            self._close_runner = _runner(some_members(self.network, self.close_members))
        self._ground = [index for index, each in enumerate(self.network.classes) if each in _GROUND]
        if detail and not self._ground:
            raise ConfigError(f"detail needs a network that knows the ground: {' or '.join(_GROUND)}")
        self.combination = dict(combination or {"objectness": 1.0})
        self.channel_normalizers = {name: ScoreNormalizer(*pair) for name, pair in (statistics or {}).items()}
        for name in ("objectness", "entropy", "energy"):
            self.channel_normalizers.setdefault(name, ScoreNormalizer())
        self.eval()

    def run_on(self, runtime: str | None) -> Self:
        """See `Part.run_on`."""
        self._runner.runtime = self._close_runner.runtime = runtime
        return self

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`."""
        known = {
            name: [each.mean, each.std] for name, each in self.channel_normalizers.items() if name != MAIN
        }
        return {
            "network": self.network,
            "combination": self.combination,
            "statistics": known,
            "reductions": self.reductions,
            "detail": self.detail,
            "close_members": self.close_members,
        }

    @property
    def normalizer(self) -> ScoreNormalizer | None:
        """Statistics of the shipped score on in-distribution images; None until they are fitted."""
        return self.channel_normalizers.get(MAIN)

    @normalizer.setter
    def normalizer(self, value: ScoreNormalizer | None) -> None:
        self.channel_normalizers.pop(MAIN, None)
        if value is not None:
            self.channel_normalizers[MAIN] = value

    @property
    def feature_channels(self) -> tuple[int, ...]:  # type: ignore[override]
        """Channels of the decoder's features at strides 8 and 16."""
        return self.network.widths[2], self.network.widths[3]

    @property
    def zoom(self) -> int:  # type: ignore[override]
        """Factor over the working size at which the detector wants to see images that are large enough."""
        return 2 if self.detail else 1

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Scores a batch; see `Detector.score`."""
        return self.look(images).scores

    @torch.inference_mode()
    def look(self, images: Tensor, zoom: int = 1) -> Sight:
        """Scores a batch and hands out the features behind the scores.

        Args:
            images: Float `[B, 3, zoom * H, zoom * W]`, RGB in 0..1.
            zoom: 1, or 2 for a batch at twice the size: its details raise the score on the ground.

        Returns:
            Scores `[B, H, W]`, with zoom 2 nowhere lower than without, and the decoder's features at strides
            8 and 16, which cover the images padded to a multiple of 64.
        """
        if zoom == 1:
            parts, _, features = self._parts(images)
            return Sight(self._to_size(self._combine(parts), images), features)
        score, more, features = self.details(images)
        return Sight(score + self.detail * more, features)

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Computes the encoder's deepest features, at stride 32; see `Detector.encode`."""
        return self.network.encode(pad_to_stride(images))[-1].float()

    @torch.inference_mode()
    def details(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Scores a batch at twice the working size, keeping the details separate.

        Args:
            images: Float `[B, 3, 2H, 2W]`, RGB in 0..1.

        Returns:
            Float32 `[B, H, W]`: the scores without details, and how far a closer look would raise them (at
            least 0, weighted by how much ground is around); and the features of `look`.
        """
        padded = pad_to_stride(images, 2 * STRIDE * math.lcm(*self.reductions))
        small = F.avg_pool2d(padded, 2)
        parts, ground, features = self._parts(small)
        score = resize_scores(self._combine(parts), small.shape[-2:])
        around = F.avg_pool2d(ground[:, None], _WINDOW, 1, _WINDOW // 2, count_include_pad=False)[:, 0]
        close = self._combine(self._look(self._close_runner, padded, 1, small.shape[-2:])[0])
        more = resize_scores(around, small.shape[-2:]) * (close - score).clamp_min(0)
        height, width = (side // 2 for side in images.shape[-2:])
        return score[:, :height, :width].float(), more[:, :height, :width].float(), features

    @torch.inference_mode()
    def score_channels(self, images: Tensor) -> dict[str, Tensor]:
        """Computes all scores of a batch, raw, each float32 `[B, H, W]`: the shipped `"combined"` first."""
        parts, _, _ = self._parts(images, every=True)
        scores = {MAIN: self._combine(parts), **parts}
        return {name: self._to_size(score, images) for name, score in scores.items()}

    def further_scores(self, images: Tensor) -> dict[str, Tensor]:
        """Computes the single scores of a batch, whatever their weight; see `Detector.further_scores`."""
        found = self.score_channels(images)
        return {name: self.channel_normalizers[name](score) for name, score in found.items() if name != MAIN}

    def _parts(
        self, images: Tensor, every: bool = False
    ) -> tuple[dict[str, Tensor], Tensor, tuple[Tensor, ...]]:
        """Means over the reductions: `_look` at half the padded size, and the ground at a quarter of it.

        The features are those of the first reduction.
        """
        padded = pad_to_stride(images, STRIDE * math.lcm(*self.reductions))
        half, quarter = ([side // divisor for side in padded.shape[-2:]] for divisor in (2, 4))
        looks = [self._look(self._runner, padded, factor, half, every) for factor in self.reductions]
        names, count = looks[0][0], len(looks)
        found = {name: sum(parts[name] for parts, _, _ in looks) / count for name in names}
        ground = sum(resize_scores(each, quarter) for _, each, _ in looks) / count
        return found, ground, looks[0][2]  # type: ignore[return-value]

    def _look(
        self, runner: Runner, padded: Tensor, factor: int, size: Sequence[int], every: bool = False
    ) -> tuple[dict[str, Tensor], Tensor, tuple[Tensor, ...]]:
        """Of the image reduced by `factor`: the channels that count, or every one, at `size`; the ground.

        The ground is the probability of its classes, `[B, h, w]` at a quarter of what was looked at. Features
        come last, at strides 8 and 16 of it.
        """
        if factor > 1:
            padded = F.avg_pool2d(padded, factor)
        fine, coarse, logits, *objectness = runner(padded)
        logits = logits.float()
        channels: dict[str, Callable[[], Tensor]] = {
            "entropy": lambda: entropy(logits),
            "energy": lambda: energy(logits),
        }
        if objectness:
            channels = {"objectness": objectness[0].float, **channels}
        counting = [name for name in channels if every or self.combination.get(name)]
        found = {name: resize_scores(channels[name](), size) for name in counting or [next(iter(channels))]}
        return found, logits.softmax(1)[:, self._ground].sum(1), (fine.float(), coarse.float())

    def _combine(self, parts: Mapping[str, Tensor]) -> Tensor:
        total: Tensor | None = None
        for name, weight in self.combination.items():
            if weight:
                term = weight * self.channel_normalizers[name](parts[name])
                total = term if total is None else total + term
        return next(iter(parts.values())) if total is None else total

    @staticmethod
    def _to_size(score: Tensor, images: Tensor) -> Tensor:
        padded = [side * 2 for side in score.shape[-2:]]
        height, width = images.shape[-2:]
        return resize_scores(score, padded)[:, :height, :width].float()
