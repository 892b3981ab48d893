import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from failure_parts import make_generator
from oodseg.core.errors import ConfigError
from oodseg.failures.spade import SpadeGenerator, one_hot, working_size


def test_one_hot_leaves_out_what_is_no_class() -> None:
    planes = one_hot(torch.tensor([[[0, 2, 255, 3]]], dtype=torch.uint8), 3)
    assert planes.tolist() == [[[[1, 0, 0, 0]], [[0, 0, 0, 0]], [[0, 1, 0, 0]]]]


@settings(max_examples=50, deadline=None)
@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from([4, 16, 32]), st.integers(1, 12))
def test_working_size(height, width, multiple, times) -> None:
    short = multiple * times
    rows, columns = working_size(height, width, short, multiple)
    assert min(rows, columns) == short
    assert rows % multiple == columns % multiple == 0
    assert (rows <= columns) == (height <= width) or rows == columns
    wanted = max(height, width) / min(height, width) * short
    assert abs(max(rows, columns) - wanted) <= multiple / 2 + 1e-6


def test_images_have_the_label_maps_size() -> None:
    generator = make_generator()
    image = generator(one_hot(torch.zeros(2, 32, 48), 3))
    assert image.shape == (2, 3, 32, 48)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("size", [(17, 31), (100, 60), (360, 480)])
def test_resynthesis_takes_maps_of_any_size(size) -> None:
    labels = torch.randint(0, 3, (1, *size))
    made = make_generator().resynthesize(labels)
    assert made.shape[-2:] == working_size(size[0], size[1], 32, 4)
    assert made.isfinite().all()


def test_labels_decide_what_is_painted() -> None:
    generator = make_generator()
    left = torch.zeros(1, 32, 64, dtype=torch.long)
    right = left.clone()
    right[..., 48:] = 1
    difference = (generator(one_hot(left, 3)) - generator(one_hot(right, 3))).abs().mean((0, 1, 2))
    assert difference[48:].mean() > 4 * difference[:16].mean()


def test_every_weight_learns() -> None:
    generator = make_generator().train().requires_grad_(True)
    labels = one_hot(torch.randint(0, 3, (2, 32, 32)), 3)
    F.mse_loss(generator(labels), torch.rand(2, 3, 32, 32)).backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in generator.parameters())


def test_learns_one_image_by_heart() -> None:
    generator = make_generator().train().requires_grad_(True)
    labels = torch.zeros(2, 32, 32, dtype=torch.long)
    labels[:, 16:] = 1
    image = torch.where(labels[:, None] == 1, 0.8, 0.2).expand(-1, 3, -1, -1)
    optimizer = torch.optim.Adam(generator.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = F.mse_loss(generator(one_hot(labels, 3)), image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_config_rebuilds_the_generator() -> None:
    generator = make_generator()
    twin = SpadeGenerator(**json.loads(json.dumps(generator.config))).eval()
    twin.load_state_dict(generator.state_dict())
    labels = one_hot(torch.randint(0, 3, (1, 32, 32)), 3)
    assert torch.equal(generator(labels), twin(labels))


def test_the_shipped_size_fits() -> None:
    weights = sum(each.numel() for each in SpadeGenerator(11).state_dict().values())
    assert 2 * weights <= 20_000_000


@pytest.mark.parametrize(("arguments", "message"), [
    ((0,), "at least one class"), ((3, [8]), "two widths"),
    ((3, [8, 8, 8], 30), "multiple of 4 with 3 widths, not 30"),
])  # fmt: skip
def test_impossible_settings(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        SpadeGenerator(*arguments)
