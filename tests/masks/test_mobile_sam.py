"""MobileSAM's checkpoint layout: the converted encoder against a plain rendering of the published source."""

import pytest
import torch
import torch.nn.functional as F

from oodseg.core.errors import WeightsError
from oodseg.masks.sam import SamSegmenter

pytest.importorskip("transformers")
pytest.importorskip("timm")
original = pytest.importorskip("segment_anything")

DIMS, DEPTHS, HEADS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)


class Draw:
    """Makes random tensors under the names of the original state dictionary."""

    def __init__(self):
        self.state = {}
        self.generator = torch.Generator().manual_seed(0)

    def tensor(self, name, *shape, scale=1.0, shift=0.0):
        self.state[name] = torch.randn(shape, generator=self.generator) * scale + shift

    def convolution(self, name, inputs, outputs, kernel):
        self.tensor(f"{name}.c.weight", outputs, inputs, kernel, kernel, scale=(inputs * kernel**2) ** -0.5)
        self.tensor(f"{name}.bn.weight", outputs, scale=0.1, shift=1)
        self.tensor(f"{name}.bn.bias", outputs, scale=0.1)
        self.tensor(f"{name}.bn.running_mean", outputs, scale=0.1)
        self.state[f"{name}.bn.running_var"] = torch.rand(outputs, generator=self.generator) + 0.5
        self.state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)

    def linear(self, name, inputs, outputs):
        self.tensor(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
        self.tensor(f"{name}.bias", outputs, scale=0.1)

    def norm(self, name, channels):
        self.tensor(f"{name}.weight", channels, scale=0.1, shift=1)
        self.tensor(f"{name}.bias", channels, scale=0.1)


def encoder_state():
    """TinyViT-5M as in MobileSAM, every stage followed by its reduction, and SAM's neck."""
    draw = Draw()
    draw.convolution("patch_embed.seq.0", 3, 32, 3)
    draw.convolution("patch_embed.seq.2", 32, 64, 3)
    for stage, (dim, depth) in enumerate(zip(DIMS, DEPTHS, strict=True)):
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            if stage == 0:
                draw.convolution(f"{name}.conv1", dim, 4 * dim, 1)
                draw.convolution(f"{name}.conv2", 1, 4 * dim, 3)
                draw.convolution(f"{name}.conv3", 4 * dim, dim, 1)
                continue
            draw.norm(f"{name}.attn.norm", dim)
            draw.linear(f"{name}.attn.qkv", dim, 3 * dim)
            draw.linear(f"{name}.attn.proj", dim, dim)
            draw.tensor(f"{name}.attn.attention_biases", HEADS[stage], WINDOWS[stage] ** 2)
            draw.convolution(f"{name}.local_conv", 1, dim, 3)
            draw.norm(f"{name}.mlp.norm", dim)
            draw.linear(f"{name}.mlp.fc1", dim, 4 * dim)
            draw.linear(f"{name}.mlp.fc2", 4 * dim, dim)
        if stage < 3:
            after = DIMS[stage + 1]
            draw.convolution(f"layers.{stage}.downsample.conv1", dim, after, 1)
            draw.convolution(f"layers.{stage}.downsample.conv2", 1, after, 3)
            draw.convolution(f"layers.{stage}.downsample.conv3", after, after, 1)
    draw.norm("norm_head", 320)
    draw.linear("head", 320, 1000)
    draw.tensor("neck.0.weight", 256, 320, 1, 1, scale=320**-0.5)
    draw.norm("neck.1", 256)
    draw.tensor("neck.2.weight", 256, 256, 3, 3, scale=2304**-0.5)
    draw.norm("neck.3", 256)
    return draw.state


def encode(state, pixels):
    """What MobileSAM's encoder computes, from its state dictionary: `[1, 3, H, W]` to `[1, 256, h, w]`."""

    def convolution(x, name, stride=1, groups=1):
        weight = state[f"{name}.c.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        mean, variance = state[f"{name}.bn.running_mean"], state[f"{name}.bn.running_var"]
        return F.batch_norm(x, mean, variance, state[f"{name}.bn.weight"], state[f"{name}.bn.bias"])

    def norm(x, name, epsilon=1e-5):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, epsilon)

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def attention(windows, name, heads, window):
        count, tokens, dim = windows.shape
        mixed = linear(norm(windows, f"{name}.norm"), f"{name}.qkv").view(
            count, tokens, heads, 3, dim // heads
        )
        query, key, value = mixed.permute(3, 0, 2, 1, 4)
        place = torch.arange(window)
        row, column = place.repeat_interleave(window), place.repeat(window)
        # Biases are counted in the order in which distances first occur: by rows, then columns.
        index = (row[:, None] - row).abs() * window + (column[:, None] - column).abs()
        bias = state[f"{name}.attention_biases"][:, index]
        weights = (query @ key.transpose(-2, -1) * (dim // heads) ** -0.5 + bias).softmax(-1)
        return linear((weights @ value).transpose(1, 2).reshape(count, tokens, dim), f"{name}.proj")

    def transformer_block(x, name, heads, window):
        _, dim, height, width = x.shape
        down, right = -height % window, -width % window
        tall, wide = (height + down) // window, (width + right) // window
        padded = F.pad(x, (0, right, 0, down)).view(dim, tall, window, wide, window)
        windows = padded.permute(1, 3, 2, 4, 0).reshape(tall * wide, window**2, dim)
        windows = attention(windows, f"{name}.attn", heads, window)
        back = windows.view(tall, wide, window, window, dim).permute(4, 0, 2, 1, 3)
        x = x + back.reshape(1, dim, tall * window, wide * window)[..., :height, :width]
        x = convolution(x, f"{name}.local_conv", groups=dim)
        y = norm(x.permute(0, 2, 3, 1), f"{name}.mlp.norm")
        y = linear(F.gelu(linear(y, f"{name}.mlp.fc1")), f"{name}.mlp.fc2")
        return x + y.permute(0, 3, 1, 2)

    x = F.gelu(convolution(pixels, "patch_embed.seq.0", stride=2))
    x = convolution(x, "patch_embed.seq.2", stride=2)
    for stage, (dim, depth) in enumerate(zip(DIMS, DEPTHS, strict=True)):
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            if stage == 0:
                y = F.gelu(convolution(x, f"{name}.conv1"))
                y = F.gelu(convolution(y, f"{name}.conv2", groups=4 * dim))
                x = F.gelu(x + convolution(y, f"{name}.conv3"))
            else:
                x = transformer_block(x, name, HEADS[stage], WINDOWS[stage])
        if stage < 3:
            after = DIMS[stage + 1]
            name = f"layers.{stage}.downsample"
            x = F.gelu(convolution(x, f"{name}.conv1"))
            x = F.gelu(convolution(x, f"{name}.conv2", stride=1 if after == 320 else 2, groups=after))
            x = convolution(x, f"{name}.conv3")
    x = F.conv2d(x, state["neck.0.weight"])
    x = norm(x.permute(0, 2, 3, 1), "neck.1", 1e-6).permute(0, 3, 1, 2)
    x = F.conv2d(x, state["neck.2.weight"], padding=1)
    return norm(x.permute(0, 2, 3, 1), "neck.3", 1e-6).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def states():
    """The encoder's state, and the rest as segment-anything's own classes make it."""
    from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

    torch.manual_seed(0)
    prompts = PromptEncoder(
        embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
    )
    rest = {f"prompt_encoder.{name}": each for name, each in prompts.state_dict().items()}
    rest |= {f"mask_decoder.{name}": each for name, each in decoder.state_dict().items()}
    return encoder_state(), rest


def whole(encoder, rest):
    return {f"image_encoder.{name}": each for name, each in encoder.items()} | rest


@pytest.fixture(scope="module")
def file(states, tmp_path_factory):
    path = tmp_path_factory.mktemp("mobile") / "mobile_sam.pt"
    torch.save(whole(*states), path)
    return path


@torch.no_grad()
def test_the_encoder_computes_what_the_published_source_does(states, file):
    segmenter = SamSegmenter(str(file))
    pixels = torch.randn(1, 3, 208, 272)  # no multiple of any window
    expected = encode(states[0], pixels)
    assert expected.shape == (1, 256, 13, 17)
    found = segmenter.model.get_image_embeddings(pixels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_outlines_a_image_also_in_bfloat16(file, monkeypatch):
    from oodseg.core import devices

    segmenter = SamSegmenter(str(file))
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    embedding = segmenter.embed(torch.rand(3, 60, 80))
    assert (embedding.side, embedding.rows, embedding.columns) == (1024, 768, 1024)
    masks = segmenter.segment(embedding, torch.tensor([[5.0, 5.0, 50.0, 40.0]]))
    assert masks.shape == (1, 60, 80)


def test_a_wider_encoder_is_refused(states, tmp_path):
    encoder, rest = states
    path = tmp_path / "wider.pt"
    torch.save(whole({**encoder, "layers.0.blocks.0.conv1.c.weight": torch.zeros(384, 96, 1, 1)}, rest), path)
    with pytest.raises(WeightsError, match=r"wider.pt is not a checkpoint of the original SAM or MobileSAM"):
        SamSegmenter(str(path))
