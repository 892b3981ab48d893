import copy

import pytest
import torch

from oodseg import S2M
from oodseg.core.build import construct
from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError
from oodseg.core.parts import describe
from oodseg.detectors import Detector, ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.nn.tensors import resize_scores
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble

TINY = {"widths": [4, 4, 8, 8, 8], "depths": [1, 1, 1, 1]}


def images(height=50, width=70):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 97)])
def test_scores_have_the_size_of_the_image_and_are_finite(size):
    detector = StreetDetector(StreetNet(**TINY), {"objectness": 1.0, "entropy": 0.5, "energy": 0.25})
    scores = detector.score(images(*size))
    assert scores.shape == (2, *size)
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    assert isinstance(detector, Detector)


def test_the_combined_score_is_the_weighted_sum_of_normalised_ones():
    statistics = {"objectness": [-2.0, 0.5], "entropy": [1.0, 2.0], "energy": [-3.0, 4.0]}
    weights = {"objectness": 1.0, "entropy": 0.5, "energy": 0.0}
    detector = StreetDetector(StreetNet(**TINY), weights, statistics)
    channels = detector.score_channels(images(64, 64))
    expected = sum(weights[name] * detector.channel_normalizers[name](channels[name]) for name in weights)
    torch.testing.assert_close(channels["combined"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(channels["combined"], detector.score(images(64, 64)))


def test_config_and_weights_rebuild_the_detector():
    detector = StreetDetector(
        StreetNet(**TINY), {"objectness": 1.0, "entropy": 0.5}, {"combined": [0.5, 2.0]}
    )
    again = construct("detectors", describe(detector), weights_follow=True)
    again.load_state_dict(detector.state_dict())
    assert again.normalizer == ScoreNormalizer(0.5, 2.0)
    torch.testing.assert_close(again.score(images()), detector.score(images()))


def test_one_image_scores_alike_alone_and_in_a_batch():
    detector = StreetDetector(StreetNet(**TINY))
    batch = images(64, 64)
    torch.testing.assert_close(detector.score(batch)[1:], detector.score(batch[1:]), atol=1e-2, rtol=1e-2)


def test_reductions_are_averaged():
    both = StreetDetector(StreetNet(**TINY), reductions=[1, 2])
    whole, half = (StreetDetector(StreetNet(**TINY), reductions=[factor]) for factor in (1, 2))
    for each in (whole, half):
        each.load_state_dict(both.state_dict())
    image = images(50, 70)
    expected = {
        name: (score + half.score_channels(image)[name]) / 2
        for name, score in whole.score_channels(image).items()
    }
    for name, score in both.score_channels(image).items():
        assert score.shape == (2, 50, 70)
        torch.testing.assert_close(score, expected[name], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(half.score(image), whole.score(image), atol=1e-3)


@pytest.mark.parametrize("reductions", [[], [0], [1, -2]])
def test_bad_reductions_are_refused(reductions):
    with pytest.raises(ConfigError, match="reductions"):
        StreetDetector(StreetNet(**TINY), reductions=reductions)


def seeing_ground(ground: float, detail: float = 0.5) -> StreetDetector:
    """A detector of random weights that takes everything for ground with (about) this probability."""
    torch.manual_seed(3)
    detector = StreetDetector(StreetNet(**TINY), reductions=[1, 2], detail=detail)
    with torch.no_grad():
        head = detector.network.class_head
        head.weight.zero_()
        detector.network.object_head.weight.mul_(200)  # for scores that differ
        head.bias.copy_(torch.tensor([ground, 0, 0, 0, 0, 1 - ground, 0]).clamp_min(1e-9).log())
    return detector


def plain_scores(detector, larger):
    """The scores without details of an image given in twice the size."""
    return detector.score(torch.nn.functional.avg_pool2d(larger, 2))


@pytest.mark.parametrize("size", [(128, 128), (100, 140), (66, 194)])
def test_details_raise_the_score_on_the_ground_and_lower_it_nowhere(size):
    detector, larger = seeing_ground(1.0), images(*size)
    with full_precision():
        plain, detailed = plain_scores(detector, larger), detector.look(larger, 2).scores
    assert detailed.shape == plain.shape == (2, size[0] // 2, size[1] // 2)
    assert detailed.dtype == torch.float32
    assert (detailed - plain).max() > 0.1
    if size == (128, 128):  # elsewhere the two are filled up to other sizes
        assert (detailed - plain).min() > -1e-3


def test_details_are_half_the_way_to_a_look_at_the_larger_image():
    detector, larger = seeing_ground(1.0), images(128, 256)
    close = StreetDetector(StreetNet(**TINY))
    close.load_state_dict(detector.state_dict())
    with full_precision(), torch.inference_mode():
        seen = close.network(larger)[1]  # at half of what it looks at: the size of the details
        plain, detailed = plain_scores(detector, larger), detector.look(larger, 2).scores
    expected = plain + 0.5 * (seen - plain).clamp_min(0)
    torch.testing.assert_close(detailed, expected, atol=1e-3, rtol=1e-3)
    assert (expected - plain).mean() > 0.005


def test_off_the_ground_details_do_not_count():
    detector, larger = seeing_ground(0.0), images(128, 128)
    with full_precision():
        detailed, plain = detector.look(larger, 2).scores, plain_scores(detector, larger)
    torch.testing.assert_close(detailed, plain, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("detail", [-0.1, 1.5])
def test_details_count_between_nothing_and_all(detail):
    with pytest.raises(ConfigError, match="detail of the street detector must lie between 0 and 1"):
        StreetDetector(StreetNet(**TINY), detail=detail)


def test_details_need_a_ground():
    with pytest.raises(ConfigError, match="knows the ground"):
        StreetDetector(StreetNet(**TINY, classes=["road", "car"]), detail=0.5)


@pytest.mark.parametrize(("detail", "zoom"), [(0.0, 1), (0.5, 2), (1.0, 2)])
def test_it_wants_to_see_twice_the_size_only_for_details(detail, zoom):
    detector = StreetDetector(StreetNet(**TINY), detail=detail)
    assert detector.zoom == zoom


@pytest.mark.parametrize("reductions", [[1], [1, 2], [2]])
@pytest.mark.parametrize(("height", "width"), [(64, 128), (50, 70)])
def test_looking_shows_the_decoders_features_beside_the_scores(height, width, reductions):
    detector = StreetDetector(StreetNet(**TINY), reductions=reductions, detail=0.5)
    batch = images(height, width)
    sight = detector.look(batch)
    torch.testing.assert_close(sight.scores, detector.score(batch), rtol=0, atol=0)
    # Of the canvas, finest first; those of the first reduction.
    factor = reductions[0]
    canvas = [-(-side // (32 * max(reductions))) * 32 * max(reductions) for side in (height, width)]
    cells = [[side // (stride * factor) for side in canvas] for stride in (8, 16)]
    assert [tuple(each.shape) for each in sight.features] == [(2, 8, *each) for each in cells]
    assert detector.feature_channels == (8, 8)
    assert {each.dtype for each in sight.features} == {torch.float32}


def test_features_are_those_of_the_network():
    detector, batch = StreetDetector(StreetNet(**TINY), reductions=[1, 2]), images(64, 128)
    with full_precision(), torch.inference_mode():
        coarse, fine, *_ = detector.network.features(batch)
        seen = detector.look(batch).features
    torch.testing.assert_close(seen[0], fine)
    torch.testing.assert_close(seen[1], coarse)


def test_features_of_a_closer_look_are_those_of_the_working_size():
    detector, larger = seeing_ground(1.0), images(128, 256)
    with full_precision():
        close = detector.look(larger, 2)
        plain = detector.look(torch.nn.functional.avg_pool2d(larger, 2))
    assert close.scores.shape == plain.scores.shape
    for each, expected in zip(close.features, plain.features, strict=True):
        torch.testing.assert_close(each, expected)


def test_details_apart_add_up_to_the_score():
    detector, larger = seeing_ground(1.0), images(100, 140)
    with full_precision():
        score, more, features = detector.details(larger)
        sight = detector.look(larger, 2)
    assert more.min() >= 0
    assert score.shape == more.shape == (2, 50, 70)
    torch.testing.assert_close(sight.scores, score + 0.5 * more)
    for each, expected in zip(sight.features, features, strict=True):
        torch.testing.assert_close(each, expected)


def test_the_closer_look_is_that_of_the_members_chosen():
    first = seeing_ground(1.0)
    torch.manual_seed(4)
    second, larger = StreetNet(**TINY).eval(), images(128, 256)
    both = StreetEnsemble([second, first.network])
    some = StreetDetector(both, reductions=[1, 2], detail=0.5, close_members=[1])
    every = StreetDetector(both, reductions=[1, 2], detail=0.5)
    with full_precision(), torch.inference_mode():
        plain, detailed = plain_scores(some, larger), some.look(larger, 2).scores
        seen, ground = first.network(larger)[1], some._parts(torch.nn.functional.avg_pool2d(larger, 2))[1]
        torch.testing.assert_close(plain, plain_scores(every, larger))
        assert not torch.allclose(every.look(larger, 2).scores, detailed, atol=1e-3)
    around = torch.nn.functional.avg_pool2d(ground[:, None], 21, 1, 10, count_include_pad=False)[:, 0]
    weight = resize_scores(around, plain.shape[-2:])
    torch.testing.assert_close(
        detailed, plain + 0.5 * weight * (seen - plain).clamp_min(0), atol=1e-3, rtol=1e-3
    )
    assert some.run_on("torch")._close_runner.runtime == "torch"


def test_a_detector_with_a_closer_look_by_one_member_is_copied_whole(tmp_path):
    torch.manual_seed(5)
    both = StreetEnsemble([StreetNet(**TINY), StreetNet(**TINY)]).eval()
    detector = StreetDetector(both, statistics=None, detail=1.0, close_members=[1])
    detector.normalizer = ScoreNormalizer(0, 1)
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path)
    again, twin = S2M.from_pretrained(tmp_path).detector, copy.deepcopy(detector)
    assert again.close_members == twin.close_members == (1,)
    larger = images(128, 128)
    expected = detector.look(larger, 2).scores
    torch.testing.assert_close(twin.look(larger, 2).scores, expected)
    torch.testing.assert_close(again.look(larger, 2).scores, expected, atol=0.05, rtol=0.05)
    with torch.no_grad():  # the copy has weights of its own, for both looks
        for each in twin.network.parameters():
            each.zero_()
    torch.testing.assert_close(detector.look(larger, 2).scores, expected)
    assert not torch.allclose(twin._close_runner(larger)[2], detector._close_runner(larger)[2])


@pytest.mark.parametrize(("places", "networks"), [([], 2), ([2], 2), ([-1], 2), ([1], 1)])
def test_members_that_look_closer_are_among_those_there_are(places, networks):
    members = [StreetNet(**TINY) for _ in range(networks)]
    network = members[0] if networks == 1 else StreetEnsemble(members)
    with pytest.raises(ConfigError, match=f"ensemble of {networks} are chosen by places from 0"):
        StreetDetector(network, detail=1.0, close_members=places)
