"""The Segment Anything family through transformers: look at an image once, decode boxes in batches.

SAM (Kirillov et al., ICCV 2023, arXiv 2304.02643), SAM-HQ (Ke et al., NeurIPS 2023, arXiv 2306.01567),
SAM 2 (Ravi et al., ICLR 2025, arXiv 2408.00714), EdgeTAM (Zhou et al., CVPR 2025, arXiv 2501.07256) and
SAM 3's tracker head (Meta, 2025, arXiv 2511.16719). As in S2M, one mask per box, logit above 0, and the
score map is not used.

The image goes through the family's own image processor, as a tensor, so that it is resized and
normalised exactly as in training. Encoders run in bfloat16 where the device is fast at it; decoders do
not, because they place boxes by the sine of large numbers, which bfloat16 blurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from oodseg.core.devices import fast_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.parts import PromptableSegmenter
from oodseg.masks.original_files import load_original
from oodseg.nn.hub import library_class, load_model, load_processor, portable_source
from oodseg.nn.tensors import resize

if TYPE_CHECKING:
    from typing import Self

# Float32 values that one batch of boxes may occupy: 256 MB on a CPU (where larger batches are also
# slower per box), 1 GB elsewhere. A decoder was measured to hold about ten values for every pixel of the
# network's input and box; to these come the logits at full size.
_FLOATS_ON_CPU, _FLOATS_ELSEWHERE = 2**26, 2**28
_DECODER_FLOATS = 10


@dataclass(frozen=True)
class ImageEmbedding:
    """Holds an encoder's features of one image.

    Attributes:
        features: The model's keyword arguments that stand for the image.
        height: Rows of the image.
        width: Columns of the image.
        rows: Rows of the network's input that the image covers; the rest is padding.
        columns: Columns of the network's input that it covers.
        side: Side of the network's square input.
    """

    features: dict[str, Any]
    height: int
    width: int
    rows: int
    columns: int
    side: int


class SamSegmenter(PromptableSegmenter):
    """SAM with a ViT-B, ViT-L or ViT-H encoder: the image scaled to 1024 on its long side and padded.

    Not a module and without weights of its own: a saved pipeline names the source, it does not copy it.

    Args:
        source: Hub id (`facebook/sam-vit-base`), a local folder in the hub's format, or a checkpoint
            file of the original releases: `sam_vit_b_01ec64.pth` and the like, or `mobile_sam.pt`.
        revision: Branch, tag or commit on the hub.

    Attributes:
        model: The transformers model, in eval mode and without gradients.
        processor: The image processor of its family.

    Raises:
        WeightsError: The model is missing, damaged, of another family, or may not be fetched unasked.
        MissingDependencyError: transformers is not installed, or older than the family.
    """

    name = "sam"
    _model_class = "SamModel"
    _processor_class = "SamImageProcessor"
    _pads = True

    def __init__(self, source: str, revision: str | None = None) -> None:
        self.source, self.revision = source, revision
        if Path(source).suffix in {".pth", ".pt"}:
            self.model, self.processor = self._from_file(Path(source).expanduser())
            return
        model_class = library_class(self._model_class)
        processor_class = library_class(self._processor_class)
        self.model = load_model(model_class, source, revision=revision)
        self.processor = load_processor(processor_class, source, revision=revision)

    def _from_file(self, path: Path) -> tuple[Any, Any]:
        return load_original(path)

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`; the weights stay where they are."""
        return {"source": portable_source(self.source), "revision": self.revision}

    def to(self, device: str | torch.device) -> Self:
        """Moves the model."""
        self.model.to(device)
        return self

    @torch.inference_mode()
    def embed(self, image: Tensor) -> ImageEmbedding:
        """Encodes an image, float32 `[3, H, W]`, RGB in 0..1."""
        # Images come as bytes, and the processors resize bytes; going back to them costs no precision.
        byte_image = (image.to(self.model.device).clamp(0, 1) * 255).round().to(torch.uint8)
        batch = self.processor(
            byte_image, input_data_format="channels_first", return_tensors="pt", **self._processor_options()
        )
        # Before transformers 5.4 some processors work on arrays, whatever the device.
        pixels = batch["pixel_values"].to(self.model.device)
        covered = batch["reshaped_input_sizes"][0] if self._pads else pixels.shape[-2:]
        rows, columns = (int(length) for length in covered)
        with fast_autocast(pixels.device):
            features = self._encode(pixels)
        height, width = image.shape[1:]
        return ImageEmbedding(features, height, width, rows, columns, pixels.shape[-1])

    @torch.inference_mode()
    def segment(self, embedding: ImageEmbedding, boxes: Tensor, scores: Tensor | None = None) -> Tensor:
        """Outlines the object in each box; see `PromptableSegmenter.segment`. Scores are not used.

        Masks are as the model draws them: they may reach outside their box, have several parts, or be empty.
        """
        device = self.model.device
        masks = torch.zeros((len(boxes), embedding.height, embedding.width), dtype=torch.bool, device=device)
        scale = torch.tensor([embedding.columns / embedding.width, embedding.rows / embedding.height])
        prompts = boxes.to(device, torch.float32) * scale.repeat(2).to(device)
        step = _boxes_at_once(embedding, device)
        for start in range(0, len(boxes), step):
            part = slice(start, start + step)
            found = self.model(
                input_boxes=prompts[None, part], multimask_output=False, **embedding.features
            ).pred_masks[0]
            masks[part] = self._enlarge(found, embedding)[:, 0] > 0
        return masks.to(boxes.device)

    def _processor_options(self) -> dict[str, Any]:
        """Returns options of the image processor beyond its own settings."""
        return {}

    def _encode(self, pixels: Tensor) -> dict[str, Any]:
        """Runs the encoder on float `[1, 3, side, side]`."""
        return {"image_embeddings": self.model.get_image_embeddings(pixels).float()}

    def _enlarge(self, logits: Tensor, embedding: ImageEmbedding) -> Tensor:
        """Brings logits `[n, 1, h, w]` over the network's input to the image's pixels."""
        padded = resize(logits, (embedding.side, embedding.side))
        cut = padded[..., : embedding.rows, : embedding.columns]
        return resize(cut, (embedding.height, embedding.width))


class SamHQSegmenter(SamSegmenter):
    """SAM-HQ: SAM with a decoder that also reads the encoder's first global block, for finer outlines.

    Args:
        source: Hub id (`syscv-community/sam-hq-vit-base`) or local folder in the hub's format.
        revision: Branch, tag or commit on the hub.

    Raises:
        WeightsError: See `SamSegmenter`.
    """

    name = "sam_hq"
    _model_class = "SamHQModel"

    def _from_file(self, path: Path) -> tuple[Any, Any]:
        raise _no_file(self.name, path)

    def _encode(self, pixels: Tensor) -> dict[str, Any]:
        final, early = self.model.get_image_embeddings(pixels)
        return {
            "image_embeddings": final.float(),
            "intermediate_embeddings": [each.float() for each in early],
        }


class Sam3Segmenter(SamSegmenter):
    """SAM 3's tracker head, prompted by boxes: the image stretched to a square of 1008.

    It needs transformers 5.0 or later.

    Args:
        source: Hub id (`facebook/sam3`, gated) or local folder in the hub's format.
        revision: Branch, tag or commit on the hub.

    Raises:
        WeightsError: See `SamSegmenter`.
    """

    name = "sam3"
    _model_class = "Sam3TrackerModel"
    _processor_class = "Sam3ImageProcessor"
    _pads = False

    def _from_file(self, path: Path) -> tuple[Any, Any]:
        raise _no_file(self.name, path)

    def _encode(self, pixels: Tensor) -> dict[str, Any]:
        return {"image_embeddings": [level.float() for level in self.model.get_image_embeddings(pixels)]}

    def _enlarge(self, logits: Tensor, embedding: ImageEmbedding) -> Tensor:
        return resize(logits, (embedding.height, embedding.width))


class Sam2Segmenter(Sam3Segmenter):
    """SAM 2 and 2.1, tiny to large: the image stretched to a square.

    Args:
        source: Hub id (`facebook/sam2.1-hiera-tiny`) or local folder in the hub's format.
        revision: Branch, tag or commit on the hub.
        size: Side of that square in pixels, a multiple of 32; None for the 1024 it was trained with. At
            512 the encoder is four to seven times as fast, and small objects lose detail. Only this
            family and EdgeTAM have it: the others' position embeddings are made for one size.

    Raises:
        ConfigError: A size that the network cannot take.
        WeightsError: See `SamSegmenter`.
    """

    name = "sam2"
    _model_class = "Sam2Model"
    _processor_class = "Sam2ImageProcessor"

    def __init__(self, source: str, revision: str | None = None, size: int | None = None) -> None:
        if size is not None and (size < 64 or size % 32):
            raise ConfigError(f"{self.name}: size must be a multiple of 32, at least 64, got {size}")
        super().__init__(source, revision)
        self.size = size
        if size is not None:
            _resize_input(self.model, size)

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`."""
        return {**super().arguments(), "size": self.size}

    def _processor_options(self) -> dict[str, Any]:
        return {} if self.size is None else {"size": {"height": self.size, "width": self.size}}


class EdgeTamSegmenter(Sam2Segmenter):
    """EdgeTAM: SAM 2's decoder behind a RepViT encoder, made for phones.

    It needs timm, and without a network transformers 5.20 or later (older ones ask the hub for a
    configuration that they do not use).

    Args:
        source: Hub id (`yonigozlan/EdgeTAM-hf`) or local folder in the hub's format.
        revision: Branch, tag or commit on the hub.
        size: See `Sam2Segmenter`.

    Raises:
        ConfigError: A size that the network cannot take.
        WeightsError: See `SamSegmenter`.
    """

    name = "edgetam"
    _model_class = "EdgeTamModel"


def _boxes_at_once(embedding: ImageEmbedding, device: torch.device) -> int:
    """Returns how many boxes a batch may have, at least 1."""
    room = _FLOATS_ON_CPU if device.type == "cpu" else _FLOATS_ELSEWHERE
    full_size = embedding.height * embedding.width + embedding.side**2
    return max(1, room // (_DECODER_FLOATS * embedding.side**2 + full_size))


def _resize_input(model: Any, side: int) -> None:
    """Tells a SAM 2 model the side of its input, which it otherwise takes from its configuration."""
    patch = model.config.prompt_encoder_config.patch_size
    grid = side // patch
    model.backbone_feature_sizes = [[grid * 4, grid * 4], [grid * 2, grid * 2], [grid, grid]]
    prompts = model.prompt_encoder
    prompts.image_embedding_size = (grid, grid)
    prompts.mask_input_size = (4 * grid, 4 * grid)
    prompts.input_image_size = side


def _no_file(family: str, path: Path) -> ConfigError:
    return ConfigError(
        f"{family} cannot read the checkpoint file {path}: give a hub id or a folder in the hub's format "
        "(files of the original releases are read for SAM and MobileSAM only)"
    )
