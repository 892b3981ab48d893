"""Original SAM checkpoint files: our conversion against the segment-anything package, on random weights."""

from functools import partial

import pytest
import torch
from tiny_sam import randomize

from oodseg.core.devices import full_precision
from oodseg.core.errors import WeightsError
from oodseg.masks.meta_checkpoints import build_sam, convert
from oodseg.masks.original_files import load_original
from oodseg.masks.sam import SamSegmenter

pytest.importorskip("transformers")
original = pytest.importorskip("segment_anything")

BOXES = torch.tensor([[10.0, 20.0, 60.0, 80.0], [0.0, 0.0, 128.0, 96.0], [90.5, 3.0, 127.0, 50.0]])


def tiny_original():
    """segment-anything's own classes, small; sizes all different, so that a swap would not fit."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(3)  # with which masks are neither empty nor full
    encoder = ImageEncoderViT(
        depth=3,
        embed_dim=48,
        img_size=128,
        mlp_ratio=3,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=4,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=[1],
        window_size=3,
        out_chans=64,
    )
    prompts = PromptEncoder(
        embed_dim=64, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=20
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=64, mlp_dim=56, num_heads=8),
        transformer_dim=64,
        iou_head_depth=4,
        iou_head_hidden_dim=40,
    )
    pixels = {"pixel_mean": [123.675, 116.28, 103.53], "pixel_std": [58.395, 57.12, 57.375]}
    sam = Sam(encoder, prompts, decoder, **pixels).eval()
    randomize(sam)
    with torch.no_grad():
        for parameter in sam.parameters():
            if parameter.dim() == 1:  # biases and norms, else all alike
                parameter.add_(0.1 * torch.randn_like(parameter))
    return sam


@pytest.fixture(scope="module")
def sam():
    return tiny_original()


@pytest.fixture(scope="module")
def file(sam, tmp_path_factory):
    path = tmp_path_factory.mktemp("meta") / "sam_vit_x.pth"
    torch.save(sam.state_dict(), path)
    return path


@torch.no_grad()
def test_embeddings_low_resolution_masks_and_iou_are_the_original_s(sam, file):
    model, _ = load_original(file)
    pixels = torch.randn(1, 3, 128, 128)
    features = sam.image_encoder(pixels)
    assert features.std() > 0.1
    torch.testing.assert_close(model.get_image_embeddings(pixels), features, atol=1e-4, rtol=1e-4)

    sparse, dense = sam.prompt_encoder(points=None, boxes=BOXES, masks=None)
    for several in (False, True):
        masks, iou = sam.mask_decoder(
            image_embeddings=features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        found = model(image_embeddings=features, input_boxes=BOXES[None], multimask_output=several)
        assert masks.std() > 0.1
        torch.testing.assert_close(found.pred_masks[0], masks, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.iou_scores[0], iou, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_mask_prompt_branch_is_converted_too(sam, file):
    model, _ = load_original(file)
    prompt = torch.randn(1, 1, 32, 32)
    _, dense = sam.prompt_encoder(points=None, boxes=BOXES[:1], masks=prompt)
    _, found = model.get_prompt_embeddings(input_boxes=BOXES[None, :1], input_masks=prompt)
    torch.testing.assert_close(found, dense, atol=1e-4, rtol=1e-4)


def test_a_image_s_masks_are_the_original_predictor_s(sam, file):
    segmenter = SamSegmenter(str(file))
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand((1, 3, 5, 8), generator=generator)
    image = torch.nn.functional.interpolate(coarse, (90, 140), mode="bilinear")[0]
    image = (image * 255).round() / 255
    predictor = original.SamPredictor(sam)
    predictor.set_image((image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy())
    boxes = predictor.transform.apply_boxes_torch(BOXES, (90, 140))
    expected, _, _ = predictor.predict_torch(None, None, boxes=boxes, multimask_output=False)
    with full_precision():
        masks = segmenter.segment(segmenter.embed(image), BOXES)
    assert masks.shape == (3, 90, 140)
    assert 0.02 < expected.float().mean() < 0.98
    # Pillow resizes the original's image, torchvision ours: a level of 255 apart here and there.
    assert (masks == expected[:, 0]).float().mean() > 0.998


@pytest.mark.parametrize(
    ("size", "hidden", "depth", "heads", "everywhere"),
    [
        ("vit_b", 768, 12, 12, [2, 5, 8, 11]),
        ("vit_l", 1024, 24, 16, [5, 11, 17, 23]),
        ("vit_h", 1280, 32, 16, [7, 15, 23, 31]),
    ],
)
def test_the_released_sizes_are_told_apart_by_their_tensors(size, hidden, depth, heads, everywhere):
    with torch.device("meta"):
        state = original.sam_model_registry[size]().state_dict()
        model = build_sam(state)
    config = model.config.vision_config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (
        hidden,
        depth,
        heads,
    )
    assert (config.window_size, list(config.global_attn_indexes)) == (14, everywhere)
    assert (config.image_size, config.patch_size) == (1024, 16)
    decoder = model.config.mask_decoder_config
    assert (decoder.mlp_dim, decoder.attention_downsample_rate, decoder.iou_head_depth) == (2048, 2, 3)
    shapes = {name: each.shape for name, each in convert(state).items()}
    assert shapes == {name: each.shape for name, each in model.state_dict().items()}


def test_converting_renames_and_computes_nothing(sam):
    state = sam.state_dict()
    converted = convert(state)
    assert {each.data_ptr() for each in converted.values()} == {each.data_ptr() for each in state.values()}


def _without(state, name):
    return {key: each for key, each in state.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda state: _without(state, "mask_decoder.iou_token.weight"), "iou_token"),
        (lambda state: _without(state, "image_encoder.pos_embed"), "pos_embed"),
        (lambda state: {**state, "mask_decoder.hf_token.weight": torch.zeros(1, 64)}, "hf_token"),
        (lambda state: {**state, "image_encoder.pos_embed": torch.zeros(1, 9, 9, 48)}, "rel_pos"),
        (lambda _: {"backbone.weight": torch.zeros(3)}, "image_encoder.patch_embed.proj.weight"),
        (lambda state: {**state, "image_encoder.patch_embed.proj.weight": torch.zeros(48, 3)}, "unpack"),
        (lambda _: {}, "image_encoder"),
    ],
)
def test_a_file_of_another_layout_gives_one_sentence(sam, tmp_path, spoil, fault):
    path = tmp_path / "other.pth"
    torch.save(spoil(sam.state_dict()), path)
    with pytest.raises(WeightsError) as error:
        SamSegmenter(str(path))
    message = str(error.value)
    assert message.startswith(f"{path} is not a checkpoint of the original SAM or MobileSAM release (")
    assert fault in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{name}": each for name, each in state.items()},
        lambda state: {f"module.sam.{name}": each for name, each in state.items()},
        lambda state: {"model": {f"model.{name}": each for name, each in state.items()}, "epoch": 3},
        lambda state: {"state_dict": {f"net.sam_model.{name}": each for name, each in state.items()}},
    ],
)
def test_files_of_a_fine_tuning(sam, tmp_path, wrap):
    path = tmp_path / "tuned.pth"
    torch.save(wrap(sam.state_dict()), path)
    expected = build_sam(sam.state_dict()).state_dict()
    found = load_original(path)[0].state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "trap.pth"
    torch.save({"image_encoder.pos_embed": Trap()}, path)
    with pytest.raises(WeightsError, match="hold more than tensors"):
        SamSegmenter(str(path))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_a_broken_file_gives_one_sentence(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken.pth are damaged, or are none.*: fetch the file again"):
        SamSegmenter(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none.pth cannot be read \(No such file or directory\)"):
        SamSegmenter(str(tmp_path / "none.pth"))


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"model": {"weight": 2.0}}, torch.zeros(2)])
def test_what_is_no_dictionary_of_tensors_is_named(tmp_path, content):
    path = tmp_path / "list.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=r"list.pth is not a state dict"):
        SamSegmenter(str(path))
