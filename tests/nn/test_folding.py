import pytest
import torch
from torch import nn

from oodseg.nn.blocks import Residual, conv_norm_relu
from oodseg.nn.encoders import build_encoder
from oodseg.nn.folding import fold_batch_norm


def lived_in(network):
    """The network in evaluation mode, with batch statistics and weights that are not those of the start."""
    generator = torch.Generator().manual_seed(1)
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.running_mean.normal_(generator=generator)
            each.running_var.uniform_(0.5, 2, generator=generator)
            with torch.no_grad():
                each.weight.uniform_(0.5, 2, generator=generator)
                each.bias.normal_(generator=generator)
    return network.eval()


NETWORKS = {
    "convolution": lambda: conv_norm_relu(3, 4, stride=2),
    "residual": lambda: Residual(3, 5, 2),
    "without normalisation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
    "with bias": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_the_same_without_normalisation(name):
    network = lived_in(NETWORKS[name]())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    image = torch.randn(2, 3, 16, 24)
    folded = fold_batch_norm(network)
    assert not any(isinstance(each, nn.BatchNorm2d) for each in folded.modules())
    torch.testing.assert_close(folded(image), network(image), atol=1e-4, rtol=1e-4)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_layers_of_timm_keep_their_activation():
    network = lived_in(build_encoder("tf_efficientnet_lite0"))
    image = torch.randn(1, 3, 64, 64)
    folded = fold_batch_norm(network)
    assert not any(isinstance(each, nn.BatchNorm2d) for each in folded.modules())
    for found, expected in zip(folded(image), network(image), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)),
    ],
)
def test_what_is_not_right_behind_a_convolution_stays(network):
    image = torch.randn(2, 3, 9, 9)
    folded = fold_batch_norm(lived_in(network) if network[-1] is not network[1] else network.eval())
    assert sum(isinstance(each, nn.BatchNorm2d) for each in folded.modules()) == 1
    torch.testing.assert_close(folded(image), network(image))
