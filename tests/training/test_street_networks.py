"""The street networks that trainings go on from and learn from."""

from __future__ import annotations

import torch

from oodseg import S2M
from oodseg.training.street_networks import network_of


def test_of_a_pipeline_it_is_the_network_of_its_detector_with_all_members() -> None:
    found, whole = network_of(["street"]), S2M.from_pretrained("street").detector.network
    assert found.config == whole.config
    assert len(found.networks) == 2
    state = whole.state_dict()
    assert found.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())
