import numpy as np
import pytest
import torch
from torch import nn

from failure_parts import CLASSES, make_generator, make_segmenter
from oodseg.core.build import build
from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.failures.dissimilarity import Dissimilarity
from oodseg.failures.synboost import SynBoostDetector, ensemble
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts


@pytest.fixture(autouse=True)
def _float32():
    with full_precision():
        yield


@pytest.fixture
def detector():
    made = SynBoostDetector(make_segmenter(), make_generator(), widths=(4, 6, 8))
    for parameter in made.parameters():
        parameter.data = parameter.data.half().float()
    return made


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 96)


@pytest.mark.parametrize(
    ("logits", "entropy", "weight", "expected"),
    [
        ([0, 0], 1.0, 0.75, 0.75 * 0.5 + 0.25),
        ([0, np.log(3)], 0.2, 0.75, 0.75 * 0.75 + 0.25 * 0.2),
        ([50, 0], 0.4, 0.75, 0.1),
        ([0, 50], 0.4, 1.0, 1.0),
        ([0, 50], 0.4, 0.0, 0.4),
    ],
)
def test_the_ensemble_by_hand(logits, entropy, weight, expected):
    found = ensemble(torch.tensor([logits], dtype=torch.float32), torch.tensor([entropy]), weight)
    assert float(found) == pytest.approx(expected)


def test_what_is_seen(detector, images):
    seen = detector.see(images)
    assert seen.images.shape == seen.resynthesis.shape == seen.priors.shape == (2, 3, 32, 48)
    p = seen.logits.softmax(1).numpy()
    entropy = -(p * np.log(p)).sum(1) / np.log(len(CLASSES))
    first, second = np.sort(p, 1)[:, -1], np.sort(p, 1)[:, -2]
    np.testing.assert_allclose(seen.priors[:, 0], entropy, atol=1e-5)
    np.testing.assert_allclose(seen.priors[:, 2], 1 - (first - second), atol=1e-5)
    assert 0 <= float(seen.priors[:, 1].min()) <= float(seen.priors[:, 1].max()) <= 2


def test_an_image_that_equals_its_resynthesis_has_no_perceptual_difference(detector, images, monkeypatch):
    small = torch.nn.functional.interpolate(images, (32, 48), mode="bilinear", antialias=True)
    monkeypatch.setattr(detector.generator, "resynthesize", lambda labels: small)
    assert float(detector.see(images).priors[:, 1].abs().max()) < 1e-5


def test_gradients_reach_the_head_and_nothing_else(detector, images):
    detector.head.train()
    detector.judge(detector.see(images)).sum().backward()
    assert all(each.grad is not None for each in detector.head.parameters())
    assert all(each.grad is None for each in detector.segmenter.parameters())
    assert all(each.grad is None for each in detector.generator.parameters())


def test_scores_and_a_saved_pipeline(detector, images, tmp_path):
    score = detector.score(images)
    assert score.shape == (2, 64, 96)
    assert 0 <= float(score.min()) < float(score.max()) <= 1
    detector.normalizer = ScoreNormalizer(0.3, 0.1)
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "mine")
    again = build("detectors", f"synboost:{tmp_path / 'mine'}")
    torch.testing.assert_close(again.score(images), score)
    assert again.normalizer == detector.normalizer


def test_the_network_sees_every_input():
    network = Dissimilarity(3, (4, 6, 8)).eval()
    given = [torch.rand(1, channels, 16, 24) for channels in (3, 3, 3, 3)]
    found = network(*given)
    assert found.shape == (1, 2, 16, 24)
    for index in range(4):
        changed = [each + 0.3 if number == index else each for number, each in enumerate(given)]
        assert not torch.allclose(network(*changed), found)
    swapped = network(given[1], given[0], *given[2:])
    assert not torch.allclose(swapped, found), "which one was made is no secret"
    convolutions = [each for each in network.images.modules() if isinstance(each, nn.Conv2d)]
    assert len(convolutions) == 6, "image and re-synthesis share an encoder"


def test_what_is_wrong_is_said():
    with pytest.raises(ConfigError, match="has 3 classes and the generator 4"):
        SynBoostDetector(make_segmenter(), make_generator(4))
    with pytest.raises(ConfigError, match="ensemble must be a weight between 0 and 1, not 75"):
        SynBoostDetector(make_segmenter(), make_generator(), ensemble=75)
    with pytest.raises(ConfigError, match="multiples of 4: give fewer widths"):
        SynBoostDetector(make_segmenter(), make_generator(), widths=(4, 4, 4, 4))
