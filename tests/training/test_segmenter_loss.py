import math

import numpy as np
import pytest
import torch

from oodseg.core.taxonomy import IGNORE
from oodseg.training.segmenter_loss import street_loss, teacher_loss


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


def taught(batch=1, height=8, width=8):
    """A network and a teacher that say the same; weight 1."""
    logits = torch.randn(batch, 7, height // 4, width // 4, generator=torch.Generator().manual_seed(0))
    scores = torch.randn(batch, height // 2, width // 2, generator=torch.Generator().manual_seed(1))
    return {
        "logits": logits,
        "objectness": scores,
        "taught": logits.clone(),
        "taught_objectness": scores.clone(),
        "weights": torch.ones(batch, height, width),
    }


def test_a_network_that_says_what_its_teacher_says_has_nothing_to_learn() -> None:
    batch = taught()
    batch["logits"].requires_grad_()
    batch["objectness"].requires_grad_()
    parts = teacher_loss(**batch)
    assert parts["teacher_classes"].item() == pytest.approx(0, abs=1e-6)
    assert parts["teacher_scores"].item() == 0
    sum(parts.values()).backward()
    assert batch["logits"].grad.abs().max() < 1e-6
    assert batch["objectness"].grad.abs().max() < 1e-6


def test_divergence_and_entropy_of_a_teacher_by_hand() -> None:
    batch = taught()
    batch["logits"] = torch.zeros_like(batch["logits"])
    batch["objectness"] = torch.zeros_like(batch["objectness"])
    parts = teacher_loss(**batch)
    chance = batch["taught"].softmax(1).double().numpy()
    divergence = (chance * (np.log(chance) - np.log(1 / 7))).sum(1).mean()
    assert parts["teacher_classes"].item() == pytest.approx(divergence, rel=1e-5)
    assert parts["teacher_objects"].item() == pytest.approx(math.log(2))
    away = batch["taught_objectness"].abs().double().numpy()
    assert parts["teacher_scores"].item() == pytest.approx(
        np.where(away < 1, away**2 / 2, away - 0.5).mean(), rel=1e-5
    )


def test_a_teacher_is_heard_where_the_truth_is_unknown() -> None:
    batch = taught()
    batch["weights"][:] = 0
    batch["taught_objectness"] += 3
    assert all(value.isfinite() for value in teacher_loss(**batch).values())
    assert teacher_loss(**batch)["teacher_scores"].item() > 1
