"""SAM in two ONNX files against the segment-anything package that exports them; tiny and random."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from test_meta_checkpoints import BOXES, tiny_original

from oodseg.core.build import build
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import describe
from oodseg.masks.sam_onnx import SamOnnxSegmenter

pytest.importorskip("onnxruntime")
original = pytest.importorskip("segment_anything")

_INPUTS = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")


class Preprocessing(torch.nn.Module):
    """An encoder that takes the bytes of a scaled image, as samexporter's do."""

    def __init__(self, sam):
        super().__init__()
        self.sam = sam

    def forward(self, pixels):
        scaled = (pixels.permute(2, 0, 1) - self.sam.pixel_mean) / self.sam.pixel_std
        rows, columns = pixels.shape[0], pixels.shape[1]
        padded = torch.nn.functional.pad(scaled, (0, 128 - columns, 0, 128 - rows))
        return self.sam.image_encoder(padded[None])


@pytest.fixture(scope="module")
def sam():
    return tiny_original()


@pytest.fixture(scope="module")
def folder(sam, tmp_path_factory):
    """Encoders with and without their normalisation; decoders that give four masks or select one."""
    from segment_anything.utils.onnx import SamOnnxModel

    path = tmp_path_factory.mktemp("sam")
    options = {"dynamo": False, "opset_version": 17}

    def export(module, inputs, name, **more):
        torch.onnx.export(module, inputs, str(path / name), **options, **more)

    export(sam.image_encoder, (torch.rand(1, 3, 128, 128),), "encoder.onnx", input_names=["x"])
    opened = {"input_image": {0: "image_height", 1: "image_width"}}
    export(
        Preprocessing(sam),
        (torch.rand(96, 128, 3),),
        "raw.onnx",
        input_names=["input_image"],
        dynamic_axes=opened,
    )
    prompts = (
        torch.rand(1, 64, 8, 8),
        torch.rand(1, 5, 2) * 100,
        torch.tensor([[2.0, 3.0, 1.0, 0.0, -1.0]]),
        torch.rand(1, 1, 32, 32),
        torch.zeros(1),
        torch.tensor([96.0, 128.0]),
    )
    for single in (False, True):
        export(
            SamOnnxModel(sam, return_single_mask=single),
            prompts,
            f"decoder{int(single)}.onnx",
            input_names=list(_INPUTS),
            output_names=["masks", "iou_predictions", "low_res_masks"],
            dynamic_axes={name: {1: "points"} for name in _INPUTS[1:3]},
        )
    return path


def blobs(height, width):
    coarse = torch.from_numpy(np.random.default_rng(0).random((1, 3, 6, 9), dtype=np.float32))
    large = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0]
    return (large.clamp(0, 1) * 255).round() / 255


def expected(sam, image, boxes):
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    predictor.set_image((image * 255).byte().permute(1, 2, 0).numpy())
    turned = predictor.transform.apply_boxes_torch(boxes, image.shape[1:])
    return predictor.predict_torch(None, None, turned, multimask_output=False)[0][:, 0]


@pytest.mark.parametrize("encoder", ["encoder", "raw"])
@pytest.mark.parametrize("size", [(96, 128), (128, 70)])
def test_the_masks_of_the_package(sam, folder, encoder, size):
    image = blobs(*size)
    segmenter = build("masks", {"name": "sam_onnx", "source": files(folder, encoder), "size": 128})
    masks = segmenter.segment(segmenter.embed(image), BOXES)
    assert float((masks != expected(sam, image, BOXES)).float().mean()) < 1e-3  # rounding at the border
    assert 0 < masks.float().mean() < 1
    again = build("masks", describe(segmenter))
    torch.testing.assert_close(again.segment(again.embed(image), BOXES), masks)


def test_a_scaled_image(sam, folder):
    image = blobs(150, 200)
    segmenter = SamOnnxSegmenter(files(folder))
    masks = segmenter.segment(segmenter.embed(image), BOXES)
    right = expected(sam, image, BOXES)
    assert masks.shape == (3, 150, 200)
    assert float((masks & right).sum() / (masks | right).sum()) > 0.99


def test_a_decoder_that_selects_is_asked_for_the_mask_of_a_box(sam, folder):
    image = blobs(96, 128)
    segmenter = SamOnnxSegmenter(files(folder, decoder="decoder1"))
    embedding = segmenter.embed(image)
    masks = segmenter.segment(embedding, BOXES)
    for mask, box in zip(masks, BOXES, strict=True):
        corners, dense = sam.prompt_encoder(points=None, boxes=box[None], masks=None)
        padding = sam.prompt_encoder.not_a_point_embed.weight[None]
        low, _ = sam.mask_decoder(
            image_embeddings=torch.from_numpy(embedding.features),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=torch.cat([corners, padding], 1),
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        full = sam.postprocess_masks(low, (96, 128), (96, 128))[0, 0]
        assert float(((full > 0) == mask).float().mean()) > 0.999


def test_no_box(folder):
    segmenter = SamOnnxSegmenter(files(folder))
    assert segmenter.segment(segmenter.embed(blobs(40, 50)), torch.zeros(0, 4)).shape == (0, 40, 50)


def files(folder, encoder="encoder", decoder="decoder0"):
    return f"{folder / encoder}.onnx,{folder / decoder}.onnx"


def test_what_is_wrong_is_said(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"two files, encoder and decoder, not 'a\.onnx'"):
        SamOnnxSegmenter("a.onnx")
    with pytest.raises(WeightsError, match="does not exist"):
        SamOnnxSegmenter("a.onnx,b.onnx")
    with pytest.raises(ConfigError, match=r"encoder\.onnx takes x and gives .*after the encoder"):
        SamOnnxSegmenter(f"{folder / 'decoder0.onnx'},{folder / 'encoder.onnx'}")
    with pytest.raises(ConfigError, match="size of sam_onnx must be a number of pixels, not 0"):
        SamOnnxSegmenter(files(folder), size=0)


def fixed_decoder(path, channels=64, mask_input=(1, 1, 32, 32), low=(1, 4, 32, 32), value=-1.0):
    """A decoder that takes an embedding of so many channels and always gives the same logits."""
    taken = {
        "image_embeddings": [1, channels, 8, 8],
        "point_coords": [1, "points", 2],
        "point_labels": [1, "points"],
        "mask_input": list(mask_input),
        "has_mask_input": [1],
    }
    graph = helper.make_graph(
        [helper.make_node("Identity", ["logits"], ["low_res_masks"])],
        "decoder",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in taken.items()],
        [helper.make_tensor_value_info("low_res_masks", TensorProto.FLOAT, list(low))],
        [numpy_helper.from_array(np.full(low, value, np.float32), "logits")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def outline(source, image):
    segmenter = SamOnnxSegmenter(source)
    return segmenter.segment(segmenter.embed(image), BOXES)


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        (
            {"channels": 7},
            r"bad\.onnx cannot take what .*encoder\.onnx gives, \[1, 64, 8, 8\] .*one and the same",
        ),
        ({"low": (4, 32, 32)}, r"bad\.onnx gives \[4, 32, 32\] as low_res_masks, not logits \[1, M, h, w\]"),
        ({"value": np.nan}, r"bad\.onnx gives NaN as low_res_masks"),
        ({"mask_input": (1, 32, 32)}, r"bad\.onnx takes a mask_input \[1, 32, 32\]: give a decoder that"),
    ],
)
def test_files_that_do_not_belong_together(folder, tmp_path, decoder, said):
    path = fixed_decoder(tmp_path / "bad.onnx", **decoder)
    with pytest.raises(ConfigError, match=said):
        outline(f"{folder / 'encoder.onnx'},{path}", blobs(40, 50))


def test_an_image_thinner_than_a_pixel_of_the_input(folder, tmp_path):
    path = fixed_decoder(tmp_path / "all.onnx", value=1.0)
    assert outline(f"{folder / 'encoder.onnx'},{path}", torch.rand(3, 1, 500)).all()
