"""Any network in an ONNX file that turns images into logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.errors import ConfigError, cause
from oodseg.core.parts import MaskQueries, Segmentation
from oodseg.nn.hub import portable_source
from oodseg.nn.onnx_session import listed, open_session
from oodseg.nn.tensors import resize, to_multiple
from oodseg.segmenters.conventions import (
    GIVES,
    LAYOUTS,
    as_segmentation,
    at_size,
    check_choice,
    in_batches,
    kind_of,
    layout_of_change,
    nchw,
    output_layout,
)
from oodseg.segmenters.hub_masks import class_logits
from oodseg.segmenters.onnx_ports import (
    ImageInput,
    Values,
    changed_noise,
    choose_output,
    possible_inputs,
    probe,
)
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD, WrappedSegmenter, class_names, given_names


class OnnxSegmenter(WrappedSegmenter):
    """Runs an ONNX file with onnxruntime.

    It takes images (RGB; float and normalised, or uint8 in 0..255) and gives the logits of every class. Where
    colours and classes stand, how many images go through at once, at which size, and whether the file ends
    in a softmax is read from the file and from what it makes of noise. What that leaves open is an error,
    and an option settles it. Images are stretched to a size that the file fixes.

    Args:
        source: Path of the file.
        mean: Mean for each of RGB that is subtracted from images in 0..1; ImageNet's by default. A file that
            takes floats in 0..255 has the mean 0 and the standard deviation 1/255.
        std: Standard deviation by which they are then divided.
        classes: Names of the classes, or a JSON file of them.
        multiple: Images are stretched to multiples of this, where the file leaves their size open.
        layout: Axes of the images: `"NCHW"`, `"NHWC"`; None to find out, like all that follow.
        output: Name of the output with the logits.
        output_layout: Axes of the logits.
        gives: What they are: `"logits"`, or what came out of a `"softmax"`, `"log_softmax"` or `"sigmoid"`.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        WeightsError: The file is missing or no ONNX file.
        ConfigError: It does not turn images into logits, or there is more than one way to read it.
    """

    name = "onnx"

    def __init__(
        self,
        source: str,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        classes: Sequence[str] | str | None = None,
        multiple: int = 32,
        layout: str | None = None,
        output: str | None = None,
        output_layout: str | None = None,
        gives: str | None = None,
    ) -> None:
        check_choice("layout", layout, LAYOUTS)
        check_choice("output_layout", output_layout, LAYOUTS)
        check_choice("gives", gives, GIVES)
        session = open_session(source)
        ways = possible_inputs(session, source, layout)
        self._bytes = ways[0].dtype is np.uint8
        if self._bytes and (mean is not None or std is not None):
            raise ConfigError(
                f"{source} takes uint8 pixels and normalises them itself: leave out `mean` and `std`"
            )
        plain = ((0.0,) * 3, (1 / 255,) * 3) if self._bytes else (IMAGENET_MEAN, IMAGENET_STD)
        super().__init__(session, (), plain[0] if mean is None else mean, plain[1] if std is None else std)
        self.source, self.multiple, self.output = source, int(multiple), output
        self._way, seen = self._try(ways)
        self._read(seen, output_layout, gives, None if classes is None else len(given_names(classes)))
        self.classes = class_names(classes, self._count)

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the file stays where it is."""
        mean, std = (self.get_buffer(each).flatten().tolist() for each in ("_mean", "_std"))
        return {
            "source": portable_source(self.source),
            "mean": None if self._bytes else mean,
            "std": None if self._bytes else std,
            "classes": list(self.classes),
            "multiple": self.multiple,
            "layout": self._way.layout,
            "output": self.output,
            "output_layout": self._layout,
            "gives": self._gives,
        }

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Segmentation:
        """Segments a batch; see `Segmenter.segment`."""
        if self._way.size == (None, None):
            stretched = to_multiple(images, self.multiple)
        else:
            stretched = resize(images, at_size(images, self._way.size), antialias=True)
        inputs = self.normalized(stretched).cpu()
        if self._bytes:
            inputs = inputs.round().clamp(0, 255)
        try:
            parts = [self._outputs(each) for each in in_batches(inputs, self._way.batch)]
        except ConfigError:
            if self._way.batch is not None or len(inputs) == 1:
                raise
            # Some files leave the batch open and hold on to that of the image they were traced with.
            parts = [self._outputs(each) for each in in_batches(inputs, 1)]
            self._way = replace(self._way, batch=1)
        joined = [torch.cat(each)[: len(images)].to(images.device) for each in zip(*parts, strict=True)]
        if len(joined) == 2:
            queries = MaskQueries(*joined)
            return Segmentation(class_logits(queries), None, queries)
        return as_segmentation(nchw(joined[0], self._layout), self._gives)

    def _outputs(self, inputs: Tensor) -> list[Tensor]:
        """Runs one batch and returns the outputs that count, float32."""
        found = [self._run(self._way, inputs.numpy())[index] for index in self._chosen]
        whole = [each[None] if each.ndim == 3 and self._squeezed else each for each in found]
        if any(len(each) != len(inputs) for each in whole):
            raise ConfigError(
                f"{self.source} gives {[list(each.shape) for each in found]} for {len(inputs)} images: "
                "export it with an open batch, or with a batch of one"
            )
        return [torch.from_numpy(each.astype(np.float32)) for each in whole]

    def _try(self, ways: list[ImageInput]) -> tuple[ImageInput, list[Any]]:
        """Finds the one way in which the file takes images, and what it makes of noise."""
        found, faults = [], []
        for way in ways:
            try:
                found.append((way, probe(way, 2 * self.multiple * -(-64 // self.multiple), self._run)))
            except ConfigError as error:
                faults.append(error)
        if not found:
            raise faults[0]
        if len(found) > 1:
            raise ConfigError(
                f"{self.source} takes {listed(self.network.get_inputs())} and leaves open which axis holds "
                "the colours: say `layout: NCHW` or `layout: NHWC`"
            )
        return found[0]

    def _read(self, seen: list[Any], layout: str | None, gives: str | None, count: int | None) -> None:
        """Finds out what the outputs are, from what the file made of noise."""
        first = seen[0][1]
        self._chosen = choose_output(self.network, first, self.source, self.output)
        self._layout, self._gives, self._squeezed = "NCHW", "logits", False
        if len(self._chosen) == 2:
            self._count = first[self._chosen[0]].shape[-1] - 1
            return
        index = self._chosen[0]
        name = self.network.get_outputs()[index].name
        self._squeezed = first[index].ndim == 3
        if self._squeezed:
            self._way = replace(self._way, batch=1)
        maps = [each[index][None] if self._squeezed else each[index] for _, each in seen]
        fault = f"{self.source} gives '{name}' ({first[index].dtype} {list(first[index].shape)})"
        if maps[0].ndim != 4 or maps[0].dtype.kind != "f":
            raise ConfigError(
                f"{fault} instead of logits [B, C, h, w] of two or more classes: export the network without "
                "its argmax"
            )
        sides = [(size, each.shape[1:]) for (size, _), each in zip(seen, maps, strict=True)]
        chosen = layout or output_layout(sides, count) or self._by_change(seen[0][0], index, maps[0])
        if chosen is None:
            raise ConfigError(
                f"{fault} for images of {seen[0][0][1]}x{seen[0][0][0]} pixels, and which axis holds the "
                "classes cannot be told: say `output_layout: NCHW` or `output_layout: NHWC`"
            )
        self._layout = chosen
        values = nchw(torch.from_numpy(maps[0]), chosen)
        self._count = values.shape[1]
        if self._count < 2:
            raise ConfigError(
                f"{fault}, one value per pixel instead of logits of two or more classes: export the network "
                "without what joins them, or hand in its maps with --score-map if they are anomaly scores"
            )
        found = gives or kind_of(values)
        if found in {"labels", "one_hot"}:
            raise ConfigError(
                f"{fault} that holds whole numbers alone, as after an argmax: export the network without it "
                "(`gives: logits` if they are logits)"
            )
        if found is None:
            raise ConfigError(
                f"{fault} with values between 0 and 1 that do not sum to one: say `gives: sigmoid` if the "
                "network ends in a sigmoid, or `gives: logits`"
            )
        self._gives = found

    def _by_change(self, size: tuple[int, int], index: int, before: Values) -> str | None:
        after = self._run(self._way, changed_noise(self._way, size))[index].reshape(before.shape)
        return layout_of_change(torch.from_numpy(before[0]), torch.from_numpy(after[0]))

    def _run(self, way: ImageInput, inputs: Values) -> list[Values]:
        try:
            return [np.asarray(each) for each in self.network.run(None, way.feed(inputs))]
        except Exception as error:  # onnxruntime's errors have no common base
            fault, (height, width) = cause(error), inputs.shape[-2:]
            raise ConfigError(
                f"{self.source} cannot take {len(inputs)} images of {width}x{height} pixels ({fault}): "
                "export it with open sizes, or set `multiple` to its stride"
            ) from error
