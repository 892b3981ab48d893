"""Any network in an ONNX file that turns images into logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodseg.core.errors import ConfigError
from oodseg.core.parts import Segmentation
from oodseg.nn.hub import portable_source
from oodseg.nn.onnx_session import first_line, fixed_sides, float_type, open_session
from oodseg.nn.tensors import resize, to_multiple
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD, WrappedSegmenter, class_names


class OnnxSegmenter(WrappedSegmenter):
    """Runs an ONNX file with onnxruntime.

    The first input takes images `[B, 3, H, W]` (float32 or float16, RGB, normalised), the first output
    gives logits `[B, C, h, w]`. Where the file fixes H and W, images are stretched to them; where it
    fixes B at 1, they go through one by one.

    Args:
        source: Path of the file.
        mean: Mean for each of RGB that is subtracted from images in 0..1; ImageNet's by default.
        std: Standard deviation by which they are then divided.
        classes: Names of the classes, or a JSON file of them.
        multiple: Images are stretched to multiples of this, where the file leaves their size open.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        WeightsError: The file is missing or no ONNX file.
        ConfigError: It does not turn images into logits.
    """

    name = "onnx"

    def __init__(
        self,
        source: str,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        classes: Sequence[str] | str | None = None,
        multiple: int = 32,
    ) -> None:
        session = open_session(source)
        given = session.get_inputs()[0]
        shape = list(given.shape)
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise ConfigError(f"{source} takes {shape}: export a network that takes images [B, 3, H, W]")
        super().__init__(session, (), mean, std)
        self.source, self.multiple = source, int(multiple)
        self._input, self._dtype = given.name, float_type(given)
        self._batch, _, *self._size = fixed_sides(given)
        # The file need not give the number of classes; its output for a black image does.
        probe = np.zeros((1, 3, *(each or 4 * max(16, self.multiple) for each in self._size)), self._dtype)
        self.classes = class_names(classes, self._run(probe).shape[1])

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the file stays where it is."""
        return {
            "source": portable_source(self.source),
            "mean": self.get_buffer("_mean").flatten().tolist(),
            "std": self.get_buffer("_std").flatten().tolist(),
            "classes": list(self.classes),
            "multiple": self.multiple,
        }

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`."""
        height, width = images.shape[-2:]
        if self._size == [None, None]:
            images = to_multiple(images, self.multiple)
        elif [height, width] != self._size:
            size = [self._size[0] or height, self._size[1] or width]
            images = resize(images, size, antialias=True)
        inputs = self.normalized(images).cpu().numpy().astype(self._dtype)
        batches = np.split(inputs, len(inputs)) if self._batch == 1 else [inputs]
        logits = np.concatenate([self._run(each) for each in batches])
        return Segmentation(torch.from_numpy(logits).to(images.device))

    def _run(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        try:
            logits = np.asarray(self.network.run(None, {self._input: inputs})[0])
        except Exception as error:  # onnxruntime's errors have no common base
            fault, (height, width) = first_line(error), inputs.shape[-2:]
            raise ConfigError(
                f"{self.source} cannot take images of {width}x{height} pixels ({fault}): "
                "export it with open sizes, or set `multiple` to its stride"
            ) from error
        if logits.ndim != 4 or logits.shape[1] < 2 or logits.dtype.kind != "f":
            raise ConfigError(
                f"{self.source} gives {logits.dtype} {list(logits.shape)} instead of logits [B, C, h, w]: "
                "export the network without its argmax"
            )
        return logits.astype(np.float32)
