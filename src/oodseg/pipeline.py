"""S2M: anomaly score map to box prompts to outlines (Zhao et al., CVPR 2024, arXiv 2311.16516)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from oodseg.core.bundle import find_bundle, read_config, save_bundle
from oodseg.core.errors import ConfigError, ImageError, ScoreMapError
from oodseg.core.objects import OodObject, encode_objects
from oodseg.core.parts import OPERATING_POINTS, ImageDetector, Sight
from oodseg.core.prediction import Prediction
from oodseg.io.images import as_image, find_images, resize, to_tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from oodseg.detectors import Detector, ScoreNormalizer
    from oodseg.io.scoremaps import ScoreMap
    from oodseg.masks import PromptableSegmenter
    from oodseg.prompts import PromptGenerator

BOXES_AT_ONCE = 16  # bounds the memory of full-size masks


# Least and most pixels of the long side at which detector and prompts work.
WORKING_SIDE = (640, 1024)


def working_size(height: int, width: int, side: tuple[int, int]) -> tuple[int, int]:
    """Computes the size at which detector and prompts work on an image: half of it, within bounds.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        side: Least and most pixels of the long side; an image is never enlarged.
    """
    long_side = max(height, width)
    target = min(max(long_side / 2, side[0]), side[1], long_side)
    scale = target / long_side
    return max(16, round(height * scale)), max(16, round(width * scale))


class S2M:
    """Finds every unknown object of a picture and outlines it; there is no threshold.

    Every stage can be replaced: `S2M.from_pretrained("street", masks="grabcut")`, or
    `S2M(detector=mine, prompts=..., masks=...)` with objects that keep the contracts of
    `oodseg.detectors.Detector`, `oodseg.prompts.PromptGenerator` and `oodseg.masks.PromptableSegmenter`.

    Args:
        detector: Picture to anomaly score; None if only external score maps are to be used.
        prompts: Score map to boxes.
        masks: Boxes to outlines.
        name: How the pipeline calls itself when saved.
        working_side: Detector and prompts work on the picture at half its size, but with a long side of at
            least the first and at most the second number, and never enlarged. Outlines are drawn at full
            size.
        device: Torch device of the parts.
        overlap: Whether `masks.embed` runs beside the detector, in a thread and on a GPU in a stream of its
            own. "auto" does so on a GPU. On a CPU both want all cores, and a picture without objects needs
            no embedding at all.
        operating_point: How readily boxes are proposed: `"quiet"` (at most 0.1 false boxes per ordinary
            image), `"balanced"` or `"thorough"`.
        ignore: Bool `[h, w]`, True where nothing is to be found, such as the bonnet of the camera's own car;
            covers every picture. Not saved with the pipeline.
    """

    def __init__(
        self,
        detector: Detector | None,
        prompts: PromptGenerator,
        masks: PromptableSegmenter,
        *,
        name: str = "custom",
        working_side: tuple[int, int] = WORKING_SIDE,
        device: str = "cpu",
        overlap: bool | Literal["auto"] = "auto",
        operating_point: str = "quiet",
        ignore: NDArray[np.bool_] | None = None,
    ) -> None:
        low, high = working_side
        if not 32 <= low <= high:
            raise ConfigError(f"working_side needs 32 <= least <= most, not {low} and {high}")
        self.detector, self.prompts, self.masks = detector, prompts, masks
        self.name, self.working_side, self.device = name, (int(low), int(high)), device
        self.overlap = device.startswith("cuda") if overlap == "auto" else overlap
        if operating_point not in OPERATING_POINTS:
            raise ConfigError(
                f"there is no operating point '{operating_point}'; "
                f"choose one of: {', '.join(OPERATING_POINTS)}"
            )
        self.operating_point = operating_point
        self.ignore = ignore
        parts: list[Any] = [detector, prompts, masks]
        for part in parts:
            if hasattr(part, "to"):
                part.to(device)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str] = "street",
        device: str = "cpu",
        *,
        detector: Detector | str | Mapping[str, Any] | None = None,
        prompts: PromptGenerator | str | Mapping[str, Any] | None = None,
        masks: PromptableSegmenter | str | Mapping[str, Any] | None = None,
        operating_point: str = "quiet",
        with_detector: bool = True,
    ) -> S2M:
        """Loads a bundled pipeline by name or a saved one by folder.

        Args:
            name_or_folder: `"street"`, or a folder written by `save_pretrained`.
            device: Torch device, `"cpu"` or `"cuda"`.
            detector: Replaces that part: an object, or what `oodseg.core.spec` reads, such as
                `"segformer:FOLDER+energy"` or a mapping with all options.
            prompts: Likewise: `"components"`.
            masks: Likewise: `"grabcut"` or `"sam:FOLDER"`.
            operating_point: `"quiet"`, `"balanced"` or `"thorough"`.
            with_detector: Whether to load a detector at all; without one, every image needs a score map.

        Raises:
            WeightsError: The folder or a model is missing, damaged, or of another version.
            ConfigError: An unknown name or option.
        """
        from oodseg.core.spec import choose_part

        folder = find_bundle(name_or_folder)
        config = read_config(folder)
        given = {"detector": detector, "prompts": prompts, "masks": masks}
        if not with_detector:
            del given["detector"]
        parts: dict[str, Any] = {key: choose_part(folder, config, key, spec) for key, spec in given.items()}
        parts.setdefault("detector", None)
        low, high = config["working_side"]
        return cls(
            **parts,
            name=config.get("name", folder.name),
            working_side=(low, high),
            device=device,
            operating_point=operating_point,
        )

    def save_pretrained(self, folder: str | os.PathLike[str], bits: int = 16) -> None:
        """Writes the pipeline as a folder: `config.json`, one safetensors file a part, `README.md`.

        Args:
            folder: Where.
            bits: How weights are stored: 16, or 8 for files of half the size (see `oodseg.core.weights`).

        Raises:
            ConfigError: Another number of bits.
            OodsegError: The folder cannot be written, or there is no detector to save.
        """
        if self.detector is None:
            raise ConfigError("a pipeline without a detector cannot be saved: give it one first")
        parts = {"detector": self.detector, "prompts": self.prompts, "masks": self.masks}
        save_bundle(Path(folder), self.name, self.working_side, parts, bits)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which detector and prompts work on a picture of that size."""
        return working_size(height, width, self.working_side)

    def __call__(
        self,
        picture: Any,
        score_map: Any = None,
        score_normalizer: ScoreNormalizer | None = None,
    ) -> Prediction:
        """Finds and outlines the unknown objects of one picture.

        Args:
            picture: Path, `PIL.Image.Image`, or uint8 `[H, W, 3]` (RGB).
            score_map: Anomaly scores computed elsewhere, in place of the detector: array `[h, w]` (higher =
                more anomalous) covering the same picture, or a path that `read_score_map` reads.
            score_normalizer: Statistics of such scores on in-distribution pictures; without it they are taken
                from this one map.

        Raises:
            ImageError: The picture cannot be read, or is not of the shape of `ignore`.
            ScoreMapError: The score map cannot be used, or the detector's scores are not finite.
        """
        import numpy as np
        import torch

        started = time.perf_counter()
        image = as_image(picture)
        ignored = None if self.ignore is None else _ignored(self.ignore, *image.shape[:2])
        watch = _Watch(started)
        watch.lap("read")
        with torch.inference_mode(), self._encoding(image) as encode:
            normalized, features, warnings = self._scores(image, score_map, score_normalizer)
            if ignored is not None:
                unseen = torch.from_numpy(resize(ignored.astype(np.float32), *normalized.shape) > 0)
                normalized = normalized.masked_fill(unseen.to(normalized.device), 0.0)
            watch.lap("detector")
            found = self.prompts.propose(normalized[None], features, self.operating_point)[0]
            watch.lap("prompts")
            objects = self._outline(image, found.boxes, found.confidence, normalized, encode, ignored)
        watch.lap("masks")
        path = Path(picture) if isinstance(picture, str | os.PathLike) else None
        height, width = image.shape[:2]
        return Prediction(
            path,
            height,
            width,
            objects,
            normalized.cpu().numpy(),
            warnings,
            watch.finish(started),
            partial(as_image, picture),
        )

    def predict(self, pictures: Any, score_normalizer: ScoreNormalizer | None = None) -> Iterator[Prediction]:
        """Predicts picture after picture.

        Args:
            pictures: A folder, a file, a glob, or an iterable of whatever `__call__` takes.
            score_normalizer: Passed on.
        """
        if isinstance(pictures, str | os.PathLike):
            pictures = find_images([pictures])
        items: Iterable[Any] = pictures
        for picture in items:
            yield self(picture, score_normalizer=score_normalizer)

    def _encoding(self, image: NDArray[np.uint8]) -> AbstractContextManager[Callable[[], Any]]:
        """Gives a function that returns the picture's embedding, begun already where stages overlap."""
        import torch

        from oodseg.nn.overlap import in_background

        stream = self._encoder_stream()

        def embed() -> Any:
            # Inference mode and stream are each thread's own.
            with torch.inference_mode(), stream:
                return self.masks.embed(to_tensor(image).to(self.device))

        return in_background(embed) if self.overlap else nullcontext(embed)

    def _encoder_stream(self) -> AbstractContextManager[Any]:
        from oodseg.nn.overlap import encoder_stream

        return encoder_stream(self.device) if self.overlap else nullcontext()

    def _scores(
        self, image: NDArray[np.uint8], score_map: Any, normalizer: ScoreNormalizer | None
    ) -> tuple[Tensor, tuple[Tensor, ...] | None, list[str]]:
        """Normalised scores `[h, w]` at the working size, and the features behind them."""
        import torch

        from oodseg.detectors import ScoreNormalizer

        # A prompt generator that was trained on scores of a certain scale says so.
        normalizer = getattr(self.prompts, "normalizer", None) or normalizer
        height, width = self.working_size(*image.shape[:2])
        if score_map is not None:
            checked = _external(score_map, *image.shape[:2])
            raw = torch.from_numpy(resize(checked.scores, height, width)).to(self.device)
            normalizer = normalizer or ScoreNormalizer.fit([raw])
            return normalizer(raw), None, list(checked.warnings)
        sight = self.look(image)
        raw = sight.scores[0]
        assert self.detector is not None
        if not bool(torch.isfinite(raw).all()):
            raise ScoreMapError(
                f"the detector '{self.detector.name}' gave scores that are not finite: "
                "its weights may be damaged"
            )
        return (normalizer or self.detector.normalizer)(raw), sight.features, []

    def detector_score(self, image: NDArray[np.uint8]) -> Tensor:
        """The detector's scores of an image at the working size, not normalised.

        Args:
            image: uint8 `[H, W, 3]`, RGB.

        Returns:
            Float32 `[h, w]`, on the pipeline's device.

        Raises:
            ConfigError: The pipeline has no detector.
        """
        return self.look(image).scores[0]

    def look(self, image: NDArray[np.uint8]) -> Sight:
        """What the detector makes of an image: scores `[1, h, w]` at the working size, and features.

        An `ImageDetector` sees the image in as many times that size as it wants, where it is that large.

        Args:
            image: uint8 `[H, W, 3]`, RGB.

        Raises:
            ConfigError: The pipeline has no detector.
        """
        import torch

        if self.detector is None:
            raise ConfigError("this pipeline has no detector: hand in a score map with every picture")
        height, width = self.working_size(*image.shape[:2])
        zoom = self.detector.zoom if isinstance(self.detector, ImageDetector) else 1
        if zoom * max(height, width) > max(image.shape[:2]):
            zoom = 1
        seen = to_tensor(resize(image, zoom * height, zoom * width)).to(self.device)[None]
        with torch.inference_mode():
            if isinstance(self.detector, ImageDetector):
                return self.detector.look(seen, zoom)
            return Sight(self.detector.score(seen))

    def _outline(
        self,
        image: NDArray[np.uint8],
        boxes: Tensor,
        confidence: Tensor,
        normalized: Tensor,
        encode: Callable[[], Any],
        ignored: NDArray[np.bool_] | None,
    ) -> list[OodObject]:
        if not len(boxes):
            return []
        height, width = image.shape[:2]
        scale = boxes.new_tensor([width / normalized.shape[1], height / normalized.shape[0]]).repeat(2)
        boxes = boxes * scale
        limit = boxes.new_tensor([width, height, width, height])
        boxes = boxes.clamp(min=0).minimum(limit)
        objects: list[OodObject] = []
        with self._encoder_stream():
            embedding = encode()
            for start in range(0, len(boxes), BOXES_AT_ONCE):
                part = slice(start, start + BOXES_AT_ONCE)
                masks = self.masks.segment(embedding, boxes[part], normalized).cpu().numpy()
                if ignored is not None:
                    masks = masks & ~ignored
                objects += encode_objects(masks, boxes[part].cpu().numpy(), confidence[part].cpu().numpy())
        return objects


class _Watch:
    """Laps in milliseconds."""

    def __init__(self, started: float) -> None:
        self._last = started
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = (now - self._last) * 1e3
        self._last = now

    def finish(self, started: float) -> dict[str, float]:
        return {**self._laps, "total": (self._last - started) * 1e3}


def _ignored(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """The mask at a picture's size."""
    import numpy as np

    rows, columns = mask.shape
    if abs(columns / rows - width / height) > 0.02 * width / height:
        raise ImageError(
            f"the mask of what to ignore is {columns}x{rows}, the picture {width}x{height}: "
            "use one mask for pictures of one shape"
        )
    return np.asarray(resize(mask.astype(np.uint8), height, width) > 0)


def _external(score_map: Any, height: int, width: int) -> ScoreMap:
    """Reads and checks a score map from elsewhere against the picture's size."""
    from oodseg.io.scoremaps import ScoreMap, as_score_map, read_score_map

    if isinstance(score_map, str | os.PathLike):
        checked = read_score_map(score_map)
    else:
        checked = score_map if isinstance(score_map, ScoreMap) else as_score_map(score_map)
    checked.check_size(height, width)
    return checked
