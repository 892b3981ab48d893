"""SAM, MobileSAM and their kin from the two ONNX files that exporters write: encoder and decoder.

The decoder is the one that Segment Anything's own export script writes; encoders come in two kinds, with and
without the normalisation inside. Masks are made from the decoder's low-resolution logits: the full-size ones
of many exports are right for the aspect ratio of one image only, the one they were traced with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from oodseg.core.errors import ConfigError, cause
from oodseg.core.parts import PromptableSegmenter
from oodseg.nn.hub import portable_source
from oodseg.nn.onnx_session import as_float32, fixed_sides, float_type, open_session
from oodseg.nn.tensors import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of the pixels of an image, 0..255.
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_CORNERS = (2.0, 3.0)  # labels of a box's first and second corner
_PADDING = -1.0
_PROMPTS = (
    "image_embeddings",
    "point_coords",
    "point_labels",
    "mask_input",
    "has_mask_input",
    "orig_im_size",
)
_LOW = "low_res_masks"


@dataclass(frozen=True)
class OnnxEmbedding:
    """Holds an encoder's output for one image.

    Attributes:
        features: `[1, D, h, w]`.
        height: Rows of the image.
        width: Columns of the image.
        rows: Rows of the network's input that it covers; the rest is padding.
        columns: Columns of the network's input that it covers.
    """

    features: NDArray[np.float32]
    height: int
    width: int
    rows: int
    columns: int


class SamOnnxSegmenter(PromptableSegmenter):
    """Answers boxes with a SAM-like encoder and decoder in ONNX files, one box at a time.

    Args:
        source: `ENCODER.onnx,DECODER.onnx`. The encoder takes either `[1, 3, S, S]`, normalised and padded,
            or `[H, W, 3]` in 0..255; it gives an embedding. The decoder takes what Segment Anything's export
            script names: embedding, points with labels, a mask, the image's size.
        size: S, where the encoder leaves it open.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        WeightsError: A file is missing or no ONNX file.
        ConfigError: Not two files, or files of another kind.
    """

    name = "sam_onnx"

    def __init__(self, source: str, size: int = 1024) -> None:
        files = source.split(",")
        if len(files) != 2 or not all(files):
            raise ConfigError(
                f"sam_onnx takes two files, encoder and decoder, not '{source}': write "
                "sam_onnx:ENCODER.onnx,DECODER.onnx"
            )
        if size < 1:
            raise ConfigError(f"the size of sam_onnx must be a number of pixels, not {size}")
        self.source, self.size = source, size
        self._files = tuple(files)
        self._encoder, self._decoder = (open_session(file) for file in files)
        self._check()

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        return {"source": ",".join(portable_source(file) for file in self._files), "size": self.size}

    def embed(self, image: Tensor) -> OnnxEmbedding:
        """Encodes an image, float32 `[3, H, W]`, RGB in 0..1."""
        height, width = image.shape[1:]
        scale = self._side / max(height, width)
        rows, columns = (max(1, int(side * scale + 0.5)) for side in (height, width))
        # Images come as bytes, and SAM's own transform resizes bytes.
        pixels = (image[None].cpu().clamp(0, 1) * 255).round().to(torch.uint8)
        pixels = resize(pixels, (rows, columns), antialias=True).float()
        given = self._encoder.get_inputs()[0]
        if len(given.shape) == 4:
            mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (_MEAN, _STD))
            padding = (0, self._side - columns, 0, self._side - rows)
            inputs = torch.nn.functional.pad((pixels - mean) / std, padding).numpy()
        else:
            inputs = pixels[0].permute(1, 2, 0).numpy()
        try:
            found = self._encoder.run(None, {given.name: inputs.astype(float_type(given))})
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(
                f"{self._files[0]} cannot take an image of {list(inputs.shape)} ({cause(error)}): "
                "export the encoder with an open height and width"
            ) from error
        return OnnxEmbedding(as_float32(found)[0], height, width, rows, columns)

    def segment(self, embedding: OnnxEmbedding, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box; see `PromptableSegmenter.segment`. Scores are not used.

        Masks are as the model draws them: they may reach outside their box, have several parts, or be empty.
        """
        size = (embedding.height, embedding.width)
        masks = torch.zeros((len(boxes), *size), dtype=torch.bool)
        scale = torch.tensor([embedding.columns / embedding.width, embedding.rows / embedding.height])
        prompts = (boxes.cpu().float() * scale.repeat(2)).numpy()
        for mask, box in zip(masks, prompts, strict=True):
            low = torch.from_numpy(self._decode(embedding.features, box, size))
            padded = resize(low, (self._side, self._side))
            cut = padded[..., : embedding.rows, : embedding.columns]
            mask.copy_(resize(cut, size)[0, 0] > 0)
        return masks.to(boxes.device)

    def _decode(
        self, features: NDArray[np.float32], box: NDArray[np.float32], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Low-resolution logits `[1, M, h, w]` of a box in the network's input."""
        points, labels = box.reshape(1, 2, 2), np.array([_CORNERS], np.float32)
        if self._selects:
            # Such a decoder chooses by the number of points: with two, the best of the three masks that are
            # meant for a click; with a third that says nothing, the one that is meant for a box.
            points = np.concatenate([points, np.zeros((1, 1, 2), np.float32)], 1)
            labels = np.append(labels, [[_PADDING]], 1)
        values: tuple[NDArray[Any], ...] = (
            features, points, labels, self._no_mask, np.zeros(1), np.array(size),
        )  # fmt: skip
        named = dict(zip(_PROMPTS, values, strict=True))
        # An export may have dropped the image's size, which the low-resolution logits do not depend on.
        given = {each.name: named[each.name].astype(float_type(each)) for each in self._decoder.get_inputs()}
        encoder, decoder = self._files
        try:
            low = as_float32(self._decoder.run([_LOW], given))[0]
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(
                f"{decoder} cannot take what {encoder} gives, {list(features.shape)} ({cause(error)}): give "
                "encoder and decoder of one and the same model"
            ) from error
        if low.ndim != 4 or np.isnan(low).any():
            wrong = f"{list(low.shape)}" if low.ndim != 4 else "NaN"
            raise ConfigError(
                f"{decoder} gives {wrong} as {_LOW}, not logits [1, M, h, w]: export both files again"
            )
        return low

    def _check(self) -> None:
        """Checks that the two files are an encoder and a decoder, and learns their sizes."""
        encoder, decoder = self._files
        inputs = {each.name: each for each in self._decoder.get_inputs()}
        outputs = {each.name: each for each in self._decoder.get_outputs()}
        needed, known = {*_PROMPTS[:-1]}, {*_PROMPTS}
        if not needed <= set(inputs) <= known or _LOW not in outputs:
            raise ConfigError(
                f"{decoder} takes {', '.join(inputs)} and gives {', '.join(outputs)}, not "
                f"{', '.join(_PROMPTS)} and {_LOW}: give a decoder as Segment Anything's "
                "export script writes it, after the encoder"
            )
        shape = fixed_sides(self._encoder.get_inputs()[0])
        if len(shape) not in {3, 4}:
            raise ConfigError(
                f"{encoder} takes {self._encoder.get_inputs()[0].shape}: give an encoder that takes images "
                "[1, 3, S, S] or [H, W, 3]"
            )
        if len(inputs["mask_input"].shape) != 4:
            raise ConfigError(
                f"{decoder} takes a mask_input {inputs['mask_input'].shape}: give a decoder that takes "
                "[1, 1, S / 4, S / 4], as Segment Anything's export script writes it"
            )
        self._side = (shape[2] if len(shape) == 4 else None) or self.size
        sides = [side or self._side // 4 for side in fixed_sides(inputs["mask_input"])[2:]]
        self._no_mask = np.zeros((1, 1, *sides), np.float32)
        self._selects = fixed_sides(outputs[_LOW])[1:2] == [1]
