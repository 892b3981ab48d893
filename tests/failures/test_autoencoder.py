import numpy as np
import pytest
import torch

from failure_parts import make_segmenter
from oodseg.core.errors import ConfigError
from oodseg.failures.autoencoder import Autoencoder, ImageAutoencoder


class Grey(ImageAutoencoder):
    """Paints everything grey."""

    def forward(self, images):
        return torch.full_like(images, 0.5)


def test_the_score_is_the_difference_from_what_is_painted():
    judge = Autoencoder(make_segmenter(), Grey([4, 4], 2, 32))
    image = torch.full((3, 32, 32), 0.5)
    image[:, 8:16, 8:16] = 0.9
    found = judge.measure(image)
    assert found.score[12, 12].exp() == pytest.approx(0.4, abs=1e-3)
    assert found.score[24, 24].exp() == pytest.approx(1e-4, abs=1e-6)
    assert found.score.shape == (32, 32)
    painted = judge.assess(image).resynthesis
    np.testing.assert_allclose(painted, 127.5, atol=1)


def test_everything_goes_through_few_channels():
    network = ImageAutoencoder([4, 8], 3, 32)
    squeezed = network.encoder(torch.rand(1, 3, 32, 48))
    assert squeezed.shape == (1, 3, 8, 12)
    painted = network(torch.rand(1, 3, 32, 48))
    assert painted.shape == (1, 3, 32, 48)
    assert 0 <= painted.min() <= painted.max() <= 1
    with pytest.raises(ConfigError, match="multiple of 4 with 2 widths, not 30"):
        ImageAutoencoder([4, 8], 3, 30)
