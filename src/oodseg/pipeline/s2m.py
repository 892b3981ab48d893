"""S2M: anomaly score map to box prompts to outlines (Zhao et al., CVPR 2024, arXiv 2311.16516)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodseg.core.devices import at_precision, device_errors
from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.objects import OodObject, drop_parts, encode_objects
from oodseg.core.parts import Sight, statistics_of
from oodseg.core.prediction import Prediction
from oodseg.core.stopwatch import Stopwatch
from oodseg.core.stream import OnError, Stream, results_of
from oodseg.io.beside import ignored_in, score_map_for
from oodseg.io.discovery import named_images
from oodseg.io.frames import Cut, Video
from oodseg.io.images import Channels, as_image, resize, to_tensor
from oodseg.io.video import is_video, open_video
from oodseg.nn.concurrency import encoder_stream, in_background
from oodseg.pipeline.batches import in_batches
from oodseg.pipeline.looking import Looking, not_finite
from oodseg.tracking import track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

BOXES_AT_ONCE = 16  # bounds the memory of full-size masks


class S2M(Looking):
    """Finds every unknown object of an image and outlines it; there is no threshold.

    Every stage can be replaced: `S2M.from_pretrained("street", masks="grabcut")`, or
    `S2M(detector=mine, prompts=..., masks=...)` with objects that keep the contracts of
    `oodseg.core.parts`. All arguments are attributes too, and setting one takes effect.

    Args:
        detector: Image to anomaly score; None if only external score maps are to be used.
        prompts: Score map to boxes.
        masks: Boxes to outlines.
        name: Name under which the pipeline is saved.
        working_side: Detector and prompts work on the image at half its size, but with a long side of at
            least the first and at most the second number, and never enlarged. Outlines are drawn at full
            size.
        device: Where the parts run: `"auto"` (a GPU where there is one), `"cpu"`, `"cuda"`, `"cuda:1"` or 1,
            `"mps"`.
        precision: `"auto"`: in bfloat16 what was measured with it, on devices that have it; `"full"`:
            float32; `"half"`: the networks of detectors in 16 bits, whatever they are.
        runtime: What runs the bundled networks on a CPU: `"torch"`, the reference; `"onnxruntime"`;
            `"openvino"`; or `"auto"`, the fastest one installed.
        concurrent_encoding: Whether `masks.embed` runs beside the detector, in a thread and on a GPU in a
            stream of its own. "auto" does so on a GPU. On a CPU both want all cores, and an image without
            objects needs no embedding at all.
        operating_point: How readily boxes are proposed: `"quiet"` (at most 0.1 false boxes per ordinary
            image), `"balanced"` or `"thorough"`; `"calibrated"` where there is a guarantee; or the least
            confidence of a box itself, 0..1.
        ignore: Bool `[h, w]`, True where nothing is to be found, such as the bonnet of the camera's own car;
            covers every image. Not saved with the pipeline.
        guarantee: What is promised at the operating point `"calibrated"`, by `oodseg calibrate`; setting a
            part anew, or fitting the detector, drops it.
        min_confidence: Least confidence of a box, 0..1, in place of the operating point; None for that. A
            number below that of `"thorough"` gives more boxes than that does.
        min_area: Least number of pixels of an object.
        max_objects: Most objects per image, the most confident ones; None for all.

    Raises:
        ConfigError: An argument out of range, or a part that keeps another contract.
    """

    def __call__(
        self,
        image: Any,
        score_map: Any = None,
        score_normalizer: ScoreNormalizer | None = None,
        channels: Channels = "rgb",
        sight: Sight | None = None,
    ) -> Prediction:
        """Finds and outlines the unknown objects of one image.

        Args:
            image: Path, `PIL.Image.Image`, or uint8 `[H, W, 3]`.
            score_map: Anomaly scores computed elsewhere, in place of the detector: array `[h, w]` (higher =
                more anomalous) covering the same image, or a path that `read_score_map` reads.
            score_normalizer: Statistics of such scores on in-distribution images; without it they are taken
                from this one map.
            channels: Order of an array's channels: `"bgr"` for images of OpenCV.
            sight: What `look_at` saw of this image, so that the detector does not look again.

        Raises:
            ConfigError: The detector was never fitted, or there is none.
            ImageError: The image cannot be read, is not of the shape of `ignore`, or does not fit into the
                device's memory.
            ScoreMapError: The score map cannot be used, or the detector's scores are not finite.
            DeviceError: The device fails.
        """
        import numpy as np
        import torch

        watch = Stopwatch(time.perf_counter())
        with collect_warnings() as warnings:
            pixels = as_image(image, channels=channels)
            scores = None if score_map is None else score_map_for(score_map, *pixels.shape[:2]).scores
        ignored = None if self.ignore is None else ignored_in(self.ignore, *pixels.shape[:2])
        watch.lap("read")
        path = Path(image) if isinstance(image, str | os.PathLike) else None
        with (
            torch.inference_mode(),
            at_precision(self.precision),
            device_errors(self.device, "the image" if path is None else str(path)),
            self._encoding(pixels) as encode,
        ):
            normalized, features = self._scores(pixels, scores, score_normalizer, sight)
            if ignored is not None:
                unseen = torch.from_numpy(resize(ignored.astype(np.float32), *normalized.shape) > 0)
                normalized = normalized.masked_fill(unseen.to(normalized.device), 0.0)
            watch.lap("detector")
            found = self.boxes(normalized, features)
            watch.lap("prompts")
            objects = self._outline(pixels, found.boxes, found.confidence, normalized, encode, ignored)
        watch.lap("masks")
        height, width = pixels.shape[:2]
        return Prediction(
            path,
            height,
            width,
            objects,
            normalized.cpu().numpy(),
            warnings,
            watch.finish(),
            partial(as_image, image, channels=channels),
        )

    def predict(
        self,
        images: Any,
        score_normalizer: ScoreNormalizer | None = None,
        *,
        channels: Channels = "rgb",
        on_error: OnError = "raise",
        batch: int = 1,
        fps: float | None = None,
        every: int = 1,
        start: float = 0.0,
        end: float | None = None,
    ) -> Stream[Any]:
        """Predicts image after image, or a video with identities.

        A frame comes when its tracks are known, about a second later: see `oodseg.tracking.Tracker`.

        Args:
            images: A folder, a file, a glob, or an iterable of whatever `__call__` takes; or a video file,
                the address of a stream (`rtsp://…`), a camera (`camera:0`).
            score_normalizer: Passed on.
            channels: Order of the channels of arrays: `"bgr"` for images of OpenCV.
            on_error: What happens with an image that cannot be used: `"raise"`, which ends the iteration;
                `"skip"`, with an `InputWarning`; or `"return"` its error in place of a result.
            batch: Images that the detector sees at once, of those that come one after the other and have one
                size; not for videos.
            fps: Takes images for the frames of a video, so many per second.
            every: Of a video, the first of every so many frames.
            start: Of a video, seconds at which to begin.
            end: Of a video, seconds at which to stop; None for its end.

        Returns:
            Predictions, made as they are asked for; `len` is the number of images or frames if it is known.

        Raises:
            ConfigError: A batch of less than one image, or of frames.
            ImageError: A folder without an image, or a pattern without a match.
            VideoError: The video cannot be read.
        """
        if batch < 1:
            raise ConfigError(f"a batch must hold at least one image, not {batch}")
        if fps is not None or is_video(images):
            if batch > 1:
                raise ConfigError("frames come one by one: leave out batch")
            video, cut = open_video(images, fps), Cut(every, start, end)
            return Stream(track(self._frames(video, cut, score_normalizer)), cut.count(video))
        items = named_images(images)
        total = len(items) if isinstance(items, Sized) else None
        if batch == 1:
            one = partial(self, score_normalizer=score_normalizer, channels=channels)
            return Stream(results_of(items, one, on_error), total)
        prepared = in_batches(items, batch, self.look_at, partial(self._seen, score_normalizer), channels)
        return Stream(results_of(prepared, lambda predict: predict(), on_error), total)

    def _seen(self, normalizer: ScoreNormalizer | None, image: NDArray[np.uint8], sight: Sight) -> Prediction:
        return self(image, score_normalizer=normalizer, sight=sight)

    def _frames(self, video: Video, cut: Cut, normalizer: ScoreNormalizer | None) -> Iterator[Prediction]:
        for frame in cut.frames(video):
            found = self(frame.read(), score_normalizer=normalizer)
            yield replace(found, path=frame.path or video.path, time=frame.time)

    def _encoding(self, image: NDArray[np.uint8]) -> AbstractContextManager[Callable[[], Any]]:
        """Gives a function that returns the image's embedding, begun already where that is concurrent."""
        import torch

        stream = self._encoder_stream()

        def embed() -> Any:
            # Inference mode and stream are each thread's own.
            with torch.inference_mode(), stream:
                return self.masks.embed(to_tensor(image).to(self.device))

        return in_background(embed) if self.encodes_concurrently else nullcontext(embed)

    def _encoder_stream(self) -> AbstractContextManager[Any]:
        return encoder_stream(self.device) if self.encodes_concurrently else nullcontext()

    def _scores(
        self,
        image: NDArray[np.uint8],
        scores: NDArray[Any] | None,
        normalizer: ScoreNormalizer | None,
        sight: Sight | None,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Normalised scores `[h, w]` at the working size, and the features behind them."""
        import torch

        normalizer = self.prompts.scale or normalizer
        height, width = self.working_size(*image.shape[:2])
        if scores is not None:
            raw = torch.from_numpy(resize(scores, height, width))
            # Before the device gets them: not every GPU has 64 bits.
            return (normalizer or ScoreNormalizer.fit([raw]))(raw).to(self.device), None
        detector = self.needed_detector()
        normalizer = normalizer or statistics_of(detector)
        sight = self.look(image) if sight is None else sight
        raw = sight.scores[0]
        if not bool(torch.isfinite(raw).all()):
            raise ScoreMapError(not_finite(detector))
        return normalizer(raw), sight.features

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
        return self.within_limits(drop_parts(objects))
