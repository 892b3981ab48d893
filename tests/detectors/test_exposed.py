"""What all trained detectors share, and each one's score of its logits."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import tiny_models
from oodseg.core.build import build, construct
from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import describe
from oodseg.core.registry import maker_of
from oodseg.detectors.densehybrid import hybrid_score
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.hub_pixel import SegformerSegmenter
from oodseg.segmenters.own import CallableSegmenter
from oodseg.segmenters.street import StreetNet

NAMES = ["meta_ood", "energy_margin", "pebal", "rpl", "densehybrid"]


@pytest.fixture(autouse=True)
def _float32():
    with full_precision():
        yield


@pytest.fixture
def street():
    return StreetNet([4, 6, 8, 8, 8], [1, 1, 1, 1]).eval()


@pytest.fixture
def images():
    return torch.rand(2, 3, 50, 70)


def randomized(detector):
    for parameter in detector.head.parameters():
        nn.init.normal_(parameter)
    for parameter in detector.parameters():  # that files keep in 16 bits
        parameter.data = parameter.data.half().float()
    return detector


@pytest.mark.parametrize("name", NAMES)
def test_untrained_it_gives_the_segmenters_own_logits(name, street, images):
    detector = maker_of("detectors", name).around(street, hidden=8)
    seen = detector.see(images)
    logits = detector.read(seen)
    assert logits.shape == (2, 7 + detector.extra, 16, 24)
    torch.testing.assert_close(logits[:, :7], seen.logits)
    assert not logits[:, 7:].any()
    stretched = torch.nn.functional.interpolate(images, (64, 96), mode="bilinear")
    torch.testing.assert_close(seen.logits, street.segment(stretched).logits)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_head_and_nothing_else(name, street, images):
    street.requires_grad_(False)
    detector = randomized(maker_of("detectors", name).around(street, hidden=8).train())
    detector.rate(detector.read(detector.see(images))).sum().backward()
    assert all(each.grad is not None for each in detector.head.parameters())
    assert all(each.grad is None for each in street.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_inside_a_pipeline(name, street, images, tmp_path):
    detector = randomized(maker_of("detectors", name).around(street, hidden=8))
    detector.normalizer = ScoreNormalizer(0.5, 2.0)
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "mine")
    again = S2M.from_pretrained(tmp_path / "mine").detector
    assert type(again) is type(detector)
    assert again.normalizer == detector.normalizer
    found = again.score(images)
    torch.testing.assert_close(found, detector.score(images))
    named = build("detectors", f"{name}:{tmp_path / 'mine'}")
    torch.testing.assert_close(named.score(images), found)
    with pytest.raises(ConfigError, match="has learned weights: say where they are"):
        build("detectors", name)


def test_weights_of_a_hub_model_stay_where_they_are(tmp_path, images):
    segmenter = SegformerSegmenter(str(tiny_models.save("segformer", tmp_path / "hub")))
    detector = randomized(maker_of("detectors", "pebal").around(segmenter, hidden=8))
    assert all(name.startswith("head.") for name in detector.state_dict())
    again = construct("detectors", describe(detector), weights_follow=True)
    again.load_state_dict(detector.state_dict())
    torch.testing.assert_close(again.eval().score(images), detector.score(images))


def test_a_network_of_ones_own(images):
    network = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.ReLU(), nn.Conv2d(5, 4, 1))
    segmenter = CallableSegmenter(network, classifier="2")
    detector = maker_of("detectors", "rpl").around(segmenter, hidden=8)
    seen = detector.see(images)
    assert seen.features.shape == (2, 5, 16, 24)
    stretched = nn.functional.interpolate(images, (64, 96), mode="bilinear")
    torch.testing.assert_close(detector.read(seen), segmenter.segment(stretched).logits)
    with pytest.raises(ConfigError, match="no layer '3': name its last one, one of 0, 1, 2"):
        CallableSegmenter(network, classifier="3")


@pytest.mark.parametrize("name", NAMES)
def test_a_segmenter_without_features_is_refused(name):
    with pytest.raises(ConfigError, match=r"'callable' gives no features .*: choose street, segformer"):
        maker_of("detectors", name).around(CallableSegmenter(lambda images: images))


def score_of(name, logits, street):
    detector = maker_of("detectors", name).around(street)
    return detector.rate(torch.tensor(logits, dtype=torch.float32)[None, :, None, None]).flatten().item()


LN2, LN3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    ("name", "logits", "expected"),
    [
        ("meta_ood", [0, 0], 1.0),
        ("meta_ood", [0, LN3], -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / LN2),
        ("energy_margin", [LN2, LN2, LN3], -math.log(7)),
        ("rpl", [LN2, LN2, LN3], -math.log(7)),
        ("pebal", [LN2, LN2, LN3, 50], -math.log(7)),  # whatever the abstention
        ("densehybrid", [LN2, LN2, LN3, 0, LN3], math.log(0.75) - math.log(7)),
        ("densehybrid", [LN2, LN2, LN3, LN3, 0], math.log(0.25) - math.log(7)),
    ],
)
def test_scores_by_hand(name, logits, expected, street):
    assert score_of(name, logits, street) == pytest.approx(expected, abs=1e-6)


def test_the_hybrid_score_against_numpy(rng):
    logits, posterior = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 2, 3))
    unknown = np.exp(posterior[:, 1]) / np.exp(posterior).sum(1)
    expected = np.log(unknown) - np.log(np.exp(logits).sum(1))
    found = hybrid_score(torch.from_numpy(logits), torch.from_numpy(posterior))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("name", "smooth"), [("pebal", 1.0), ("rpl", 1.0), ("meta_ood", 0.0)])
def test_smoothing_is_that_of_the_release(name, smooth, street):
    maker = maker_of("detectors", name)
    assert maker.around(street).smooth == smooth
    assert maker.around(street, smooth=2.0).smooth == 2.0
    with pytest.raises(ConfigError, match="must be a standard deviation in pixels, not -1"):
        maker.around(street, smooth=-1.0)


class Own(nn.Module):
    """A small network whose last layers can be misnamed."""

    def __init__(self, ends="plainly"):
        super().__init__()
        self.body, self.middle, self.last = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)
        self.unused, self.ends = nn.Conv2d(8, 4, 1), ends

    def forward(self, images):
        features = self.middle(self.body(images).relu()).relu()
        if self.ends == "by name":
            return self.last(input=features)
        logits = self.last(features)
        return {"plainly": logits, "scaled": 3 * logits + 1, "twice": logits + self.last(features / 2)}.get(
            self.ends, torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear")
        )


def around(network, classifier="last", classes="abcd", name="rpl"):
    return maker_of("detectors", name).around(
        CallableSegmenter(network, list(classes), classifier=classifier)
    )


@pytest.mark.parametrize("ends", ["plainly", "by name", "enlarged"])
def test_a_last_layer_that_gives_the_logits(ends, images):
    network = Own(ends).eval()
    found = around(network).score(images)
    torch.testing.assert_close(found, around(network, name="energy_margin").score(images), atol=0.3, rtol=0)


def test_logits_that_differ_by_rounding_alone(images):
    """As of a network of random weights and many layers, which sees the same everywhere."""
    network = Own("enlarged").eval()
    nn.init.zeros_(network.body.weight)
    nn.init.constant_(network.last.bias, 1 / 3)
    assert around(network).score(images).std() < 1e-5


def test_a_network_of_other_floats(images):
    assert around(Own().double()).score(images).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("ends", "classifier", "said"),
    [
        (
            "plainly",
            "middle",
            r"turns into \[1, 8, 16, 16\], not into its 4 logits: name its last",
        ),
        ("plainly", "unused", "layer 'unused' is not run where the network segments"),
        ("scaled", "last", "changes what its last layer makes of the features"),
        ("twice", "last", "or calls it more than once"),
    ],
)
def test_a_layer_that_does_not_give_the_logits(name, ends, classifier, said):
    with pytest.raises(ConfigError, match=said):
        around(Own(ends), classifier, name=name)


def test_classes_must_be_named():
    with pytest.raises(
        ConfigError, match="pebal adds to the logits of every class, and the segmenter 'callable'"
    ):
        around(Own(), classes="", name="pebal")
