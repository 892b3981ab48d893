import numpy as np
import pytest
import torch

from failure_parts import make_segmenter, make_vae
from oodseg.core.errors import ConfigError
from oodseg.failures.vae_alarm import ShapeVAE, VAEAlarm, overlap, squeezed
from oodseg.segmenters.given import GivenLabels


def test_overlap_is_dice():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 2, 3, 8, 8)) < 0.4
    other[0, 1] = one[0, 1] = False
    found = overlap(torch.from_numpy(one).float(), torch.from_numpy(other).float()).numpy()
    for image in range(2):
        for number in range(3):
            a, b = one[image, number], other[image, number]
            dice = 2 * (a & b).sum() / (a.sum() + b.sum()) if (a | b).any() else 1
            assert found[image, number] == pytest.approx(dice, abs=1e-5)


def test_label_maps_become_squares():
    labels = torch.zeros(1, 6, 9, dtype=torch.uint8)
    labels[:, :, 6:] = 2
    planes = squeezed(labels, 3, 3)
    assert torch.equal(planes.argmax(1)[0], torch.tensor([[0, 0, 2]] * 3))
    assert torch.equal(planes.sum(1), torch.ones(1, 3, 3))


class Knows(ShapeVAE):
    """Reconstructs one label map, whatever it is shown."""

    def __init__(self, labels):
        super().__init__(3, 16, [4, 4], 2)
        self.known = 8 * squeezed(labels[None], 16, 3)

    def decode(self, latent):
        return self.known


def test_what_is_no_known_shape_is_wrong_and_its_class_bad():
    known = torch.zeros(16, 16, dtype=torch.uint8)
    known[2:8, 2:8], known[10:14, 4:12] = 1, 2
    judge = VAEAlarm(GivenLabels("abc"), Knows(known))
    right = judge.assess(torch.zeros(3, 16, 16), known)
    np.testing.assert_allclose(right.class_quality, 1, atol=1e-4)
    assert right.error.max() < 0.01
    odd = known.clone()
    odd[10:14, 8:12] = 0
    found = judge.assess(torch.zeros(3, 16, 16), odd)
    assert found.class_quality[2] == pytest.approx(2 * 16 / (16 + 32), abs=1e-4)
    assert found.class_quality[1] == pytest.approx(1, abs=1e-4)
    wrong = found.error > 0.5
    np.testing.assert_array_equal(wrong, (odd != known).numpy())


def test_a_draw_scatters_round_the_mean():
    vae, planes = make_vae(), squeezed(torch.randint(0, 3, (2, 20, 20)), 16, 3)
    torch.manual_seed(0)
    logits, mean, log_variance = vae(planes)
    assert logits.shape == (2, 3, 16, 16)
    assert mean.shape == log_variance.shape == (2, 5)
    assert not torch.equal(logits, vae(planes)[0])


def test_vae_settings_that_make_no_sense():
    with pytest.raises(ConfigError, match="multiple of 8 with 3 widths, not 20"):
        ShapeVAE(3, 20, [4, 4, 4])
    with pytest.raises(ConfigError, match="has 2 classes and the VAE 3"):
        VAEAlarm(make_segmenter(("a", "b")), make_vae())
