import numpy as np
import pytest

from oodseg.synth.drawn import MOST, draw_scene

SIZE = (128, 192)


def scene(seed, count=None, size=SIZE):
    return draw_scene(np.random.default_rng(seed), size, count)


def test_the_same_state_gives_the_same_scene() -> None:
    first, second, other = scene(3), scene(3), scene(4)
    for name in ("image", "labels", "unknown"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.image != other.image).any()


@pytest.mark.parametrize("size", [(128, 192), (97, 131), (64, 64), (360, 640)])
def test_shapes_and_types(size) -> None:
    drawn = scene(0, 2, size)
    assert drawn.image.shape == (*size, 3)
    assert drawn.labels.shape == drawn.unknown.shape == size
    assert {drawn.image.dtype, drawn.labels.dtype, drawn.unknown.dtype} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("seed", range(6))
def test_label_codes_and_unknown_objects_agree(seed) -> None:
    drawn = scene(seed)
    assert set(np.unique(drawn.labels)) <= {0, 1, 2, 3, 4, 5, 6, 255}
    np.testing.assert_array_equal(drawn.labels == 255, drawn.unknown > 0)
    assert 0 in drawn.labels
    assert 6 in drawn.labels[: SIZE[0] // 2]


@pytest.mark.parametrize("count", range(MOST + 1))
def test_as_many_unknown_objects_as_asked_for(count) -> None:
    # At 360x640 there is room for all, and what stands before an unknown object is not painted.
    found = [scene(seed, count, (360, 640)).unknown for seed in range(2)]
    assert [set(np.unique(each)) for each in found] == [set(range(count + 1))] * 2


def test_a_scene_without_unknown_objects() -> None:
    drawn = scene(1, 0)
    assert not drawn.unknown.any()
    assert not (drawn.labels == 255).any()


def test_an_object_can_be_seen() -> None:
    """Objects differ from the same street without them, or nothing could find them."""
    drawn = scene(5, 1, (360, 640))
    inside = drawn.unknown == 1
    rows, columns = np.nonzero(inside)
    ring = np.zeros_like(inside)
    ring[max(0, rows.min() - 3) : rows.max() + 4, max(0, columns.min() - 3) : columns.max() + 4] = True
    ring &= drawn.unknown == 0
    apart = np.abs(drawn.image[inside].mean(0) - drawn.image[ring].mean(0)).max()
    assert apart > 5
    assert 50 < inside.sum() < 0.25 * inside.size


@pytest.mark.parametrize(("size", "count", "message"), [
    ((63, 200), None, "at least 64x64 pixels, not 200x63"),
    ((200, 10), None, "at least 64x64"),
    (SIZE, -1, "0 to 4 unknown objects, not -1"),
    (SIZE, 5, "0 to 4 unknown objects, not 5"),
])  # fmt: skip
def test_out_of_range(size, count, message) -> None:
    with pytest.raises(ValueError, match=message):
        scene(0, count, size)
