from types import SimpleNamespace

import pytest
import torch
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.core.input_warnings import collect_warnings
from oodseg.core.parts import Segmentation
from oodseg.detectors.logit import LogitDetector
from oodseg.nn.uncertainty import energy
from oodseg.segmenters.own import CallableSegmenter

NAMES = ("road", "car", "sky", "person")


@pytest.mark.parametrize(
    "shape",
    [
        lambda logits: logits,
        lambda logits: logits.detach().numpy(),
        lambda logits: {"out": logits.detach().numpy()},
        lambda logits: (logits, "more"),
        lambda logits: {"out": logits, "aux": logits + 1},
        lambda logits: {"logits": logits},
        lambda logits: SimpleNamespace(logits=logits),
        Segmentation,
    ],
)
def test_every_way_of_giving_logits(shape):
    net = nn.Conv2d(3, 4, 1)
    batch = torch.rand(2, 3, 8, 10)
    found = CallableSegmenter(lambda images: shape(net(images)), NAMES).segment(batch)
    torch.testing.assert_close(found.logits, net(batch).detach())


def test_images_are_normalised_and_stretched():
    segmenter = CallableSegmenter(nn.Identity(), NAMES[:3], mean=[0.1, 0.2, 0.3], std=[1, 2, 4], multiple=8)
    logits = segmenter.segment(torch.full((1, 3, 9, 16), 0.5)).logits
    assert logits.shape == (1, 3, 16, 16)
    torch.testing.assert_close(logits[0, :, 4, 4], torch.tensor([0.4, 0.15, 0.05]))


def test_in_a_detector():
    net = nn.Conv2d(3, 4, 1).train()
    detector = LogitDetector(CallableSegmenter(net, NAMES), score="energy")
    images = torch.rand(1, 3, 12, 14)
    torch.testing.assert_close(detector.score(images), energy(net(images).detach()))
    assert not net.training
    with pytest.raises(ConfigError, match="export the network to ONNX"):
        _ = detector.config


@pytest.mark.parametrize("answer", [torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), "logits", {"seg": 1}])
def test_wrong_answers_are_refused(answer):
    segmenter = CallableSegmenter(lambda images: answer, NAMES)
    with pytest.raises(ConfigError, match=r"instead of logits \[1, 4, h, w\]"):
        segmenter.segment(torch.rand(1, 3, 16, 16))


def test_a_path_is_no_network():
    with pytest.raises(ConfigError, match="not a str: load it first, or name an ONNX file as onnx:FILE"):
        CallableSegmenter("network.onnx")


def network(channels=4):
    torch.manual_seed(1)
    return nn.Conv2d(3, channels, 1).eval()


@pytest.mark.parametrize("names", [NAMES, None])
def test_classes_behind_the_columns(names):
    net, batch = network(), torch.rand(2, 3, 8, 12)
    found = CallableSegmenter(lambda images: net(images).permute(0, 2, 3, 1), names).segment(batch)
    torch.testing.assert_close(found.logits, net(batch).detach())
    # Square and of as many classes as rows: torch's order, unless the option says otherwise.
    square = torch.rand(1, 3, 4, 4)
    last = CallableSegmenter(lambda images: net(images).permute(0, 2, 3, 1), output_layout="NHWC")
    torch.testing.assert_close(last.segment(square).logits, net(square).detach())


def test_images_behind_the_columns_and_as_bytes():
    net, batch = network(), torch.randint(0, 256, (2, 3, 8, 12)) / 255

    def keras(images):
        assert images.dtype == torch.uint8
        assert images.shape == (2, 8, 12, 3)
        return net(images.permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1)

    found = CallableSegmenter(keras, NAMES, layout="NHWC", pixels="uint8").segment(batch)
    torch.testing.assert_close(found.logits, net(batch).detach())


def test_probabilities_are_told_from_logits():
    net, batch = network(), torch.rand(1, 3, 8, 12)
    segmenter = CallableSegmenter(lambda images: net(images).softmax(1), NAMES)
    assert segmenter.segment(batch).relative
    torch.testing.assert_close(segmenter.segment(batch).logits.softmax(1), net(batch).softmax(1).detach())
    with pytest.raises(ConfigError, match="ends in a softmax, and energy needs the logits"):
        LogitDetector(segmenter, "energy").score(batch)
    for score in ("msp", "entropy"):
        found = LogitDetector(segmenter, score).score(batch)
        torch.testing.assert_close(found, LogitDetector(CallableSegmenter(net), score).score(batch))
    stated = CallableSegmenter(lambda images: net(images).sigmoid(), NAMES, gives="sigmoid").segment(batch)
    torch.testing.assert_close(stated.logits, net(batch).detach(), atol=1e-4, rtol=1e-4)


def test_small_values_are_taken_for_logits_with_a_word():
    segmenter = CallableSegmenter(lambda images: images, NAMES[:3])
    with collect_warnings(forward=False) as said:
        found = segmenter.segment(torch.rand(1, 3, 8, 12))
        segmenter.segment(torch.rand(1, 3, 8, 12))
    assert not found.relative
    assert len(said) == 1
    assert "gives='sigmoid'" in said[0]


@pytest.mark.parametrize("type_", [torch.float16, torch.bfloat16, torch.float64])
def test_images_come_in_the_type_of_the_weights(type_):
    net = network().to(type_)
    batch = torch.rand(1, 3, 8, 12)
    found = CallableSegmenter(net, NAMES).segment(batch).logits
    torch.testing.assert_close(found.float(), net(batch.to(type_)).detach().float())


def test_a_traced_network_of_one_size_and_batch():
    net = network()
    traced = torch.jit.trace(
        nn.Sequential(net, nn.Flatten(0), nn.Unflatten(0, (1, 4, 16, 24))), torch.rand(1, 3, 16, 24)
    )
    batch = torch.rand(3, 3, 16, 24)
    with pytest.raises(ConfigError, match=r"cannot take torch.float32 \[3, 3, 16, 24\] .*`batch`"):
        CallableSegmenter(traced, NAMES).segment(batch)
    found = CallableSegmenter(traced, NAMES, size=(16, 24), batch=1)
    torch.testing.assert_close(found.segment(batch).logits, net(batch).detach())
    assert found.segment(torch.rand(2, 3, 30, 50)).logits.shape == (2, 4, 16, 24)


class Shaped(nn.Module):
    """Gives something else than it takes."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, logits):
        return self.shape(logits) if callable(self.shape) else self.shape


def test_one_of_several_results_is_chosen():
    net, batch = network(), torch.rand(1, 3, 8, 12)
    labels_first = CallableSegmenter(lambda images: (net(images).argmax(1), net(images)), NAMES)
    with pytest.raises(ConfigError, match=r"gives torch.int64 \[1, 8, 12\] instead of logits .*`output`"):
        labels_first.segment(batch)
    for shape, output in (
        (lambda logits: (logits.argmax(1), logits), 1),
        (lambda logits: {"low": logits[..., ::2, ::2], "seg": logits}, "seg"),
    ):
        found = CallableSegmenter(nn.Sequential(net, Shaped(shape)), NAMES, output=output)
        torch.testing.assert_close(found.segment(batch).logits, net(batch).detach())
    for made, said in (({"low": 1, "high": 2}, "a mapping of low, high"), ([], "a list of 0")):
        with pytest.raises(ConfigError, match=said):
            CallableSegmenter(Shaped(made), NAMES).segment(batch)
        with pytest.raises(ConfigError, match="which has no output 'seg'"):
            CallableSegmenter(Shaped(made), NAMES, output="seg").segment(batch)


def test_an_argmax_cast_to_float_is_refused():
    def labels(images):
        return nn.functional.one_hot(images.argmax(1), 4).permute(0, 3, 1, 2).float()

    with pytest.raises(ConfigError, match="zeros for all others, as after an argmax"):
        CallableSegmenter(labels, NAMES).segment(torch.rand(1, 3, 8, 12))


def test_whole_numbers_of_a_blank_image_settle_nothing():
    segmenter = CallableSegmenter(lambda images: torch.cat([images, 3 - images[:, :1]], 1), NAMES)
    segmenter.segment(torch.zeros(1, 3, 8, 12))
    assert segmenter.gives is None
    segmenter.segment(torch.rand(1, 3, 8, 12))
    assert segmenter.gives == "logits"


def test_a_mask_classifier_gives_its_queries():
    def network(images):
        height, width = images.shape[-2:]
        return {
            "class_queries_logits": torch.randn(len(images), 7, 5),
            "masks_queries_logits": torch.randn(len(images), 7, height // 4, width // 4),
        }

    found = CallableSegmenter(network, NAMES, batch=2).segment(torch.rand(3, 3, 16, 24))
    assert found.queries.classes.shape == (3, 7, 5)
    assert found.logits.shape == (3, 4, 4, 6)


def test_a_network_of_ones_own_is_frozen():
    """As its documentation says; a graph cannot be exported of one that is not."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout()).train()
    CallableSegmenter(network)
    assert not any(each.requires_grad for each in network.parameters())
    assert not any(each.training for each in network.modules())
