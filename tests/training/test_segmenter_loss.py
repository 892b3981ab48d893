import math

import pytest
import torch

from oodseg.core.taxonomy import IGNORE
from oodseg.training.segmenter_loss import street_loss


def uniform(batch=1, height=8, width=8):
    """Logits of zero, labels of class 0, nothing unknown, weight 1."""
    return {
        "logits": torch.zeros(batch, 7, height // 4, width // 4),
        "objectness": torch.zeros(batch, height // 2, width // 2),
        "labels": torch.zeros(batch, height, width, dtype=torch.uint8),
        "unknown": torch.zeros(batch, height, width, dtype=torch.uint8),
        "weights": torch.ones(batch, height, width),
    }


def test_loss_of_a_network_that_knows_nothing() -> None:
    parts = street_loss(**uniform())
    assert parts["classes"].item() == pytest.approx(math.log(7))
    assert parts["objects"].item() == pytest.approx(math.log(2))
    assert parts["uniform"].item() == 0
    assert parts["dice"].item() == pytest.approx(1 - 1 / (0.5 * 16 + 1))


def test_loss_without_any_known_pixel_is_no_nan() -> None:
    batch = uniform()
    batch["labels"][:] = IGNORE
    batch["weights"][:] = 0
    parts = street_loss(**batch)
    assert parts["classes"].item() == 0
    assert all(value.isfinite() for value in parts.values())


def test_unknown_objects_are_pulled_to_the_uniform_distribution() -> None:
    batch = uniform()
    batch["unknown"][:] = 3
    batch["labels"][:] = IGNORE
    assert street_loss(**batch)["uniform"].item() == pytest.approx(math.log(7))
    batch["logits"][:, 2] = 20
    assert street_loss(**batch)["uniform"].item() == pytest.approx(20 - 20 / 7, rel=1e-3)
    # 255 means "not to be judged".
    batch["unknown"][:] = IGNORE
    assert street_loss(**batch)["uniform"].item() == 0


def test_finding_the_object_lowers_both_parts() -> None:
    batch = uniform(height=32, width=32)
    batch["unknown"][:, 8:20, 8:20] = 1
    lost = street_loss(**batch)
    batch["objectness"] = torch.full((1, 16, 16), -9.0)
    batch["objectness"][:, 4:10, 4:10] = 9.0
    found = street_loss(**batch)
    assert found["objects"] < 0.01 < lost["objects"]
    assert found["dice"] < 0.05 < lost["dice"]


def test_weightless_pixels_do_not_count() -> None:
    batch = uniform(height=16, width=16)
    batch["unknown"][:, :, 8:] = IGNORE
    batch["weights"][:, :, 8:] = 0
    before = street_loss(**batch)
    batch["objectness"][:, :, 4:] = 50
    after = street_loss(**batch)
    assert after["objects"] == before["objects"]
    assert after["dice"] == before["dice"]
