from itertools import pairwise

import numpy as np
import pytest

from oodseg.synth.drive import draw_drive

SIZE = (90, 160)


def drive(seed=0, **options):
    options = {"seconds": 2.0, "fps": 5.0, "size": SIZE, "unknown_count": 4, **options}
    return list(draw_drive(seed, **options))


def box(mask):
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_frames_are_what_they_are_said_to_be():
    frames = drive()
    assert [frame.time for frame in frames] == pytest.approx([number / 5 for number in range(10)])
    for frame in frames:
        assert (frame.image.shape, frame.image.dtype) == ((*SIZE, 3), np.uint8)
        assert (frame.unknown.shape, frame.unknown.dtype) == (SIZE, np.uint8)
        assert frame.unknown.max() <= 4


def test_the_seed_decides_everything():
    first, again, other = (drive(seed, seconds=0.4) for seed in (0, 0, 1))
    assert all(
        np.array_equal(a.image, b.image) and np.array_equal(a.unknown, b.unknown)
        for a, b in zip(first, again, strict=True)
    )
    assert not np.array_equal(first[0].image, other[0].image)


@pytest.mark.parametrize("domain", ["city", "country"])
def test_objects_come_closer_and_keep_their_identity(domain):
    frames = drive(3, domain=domain, fps=10, size=(180, 320), seconds=0.9)
    steps, growth = [], []
    for identity in range(1, 5):
        masks = [frame.unknown == identity for frame in frames]
        boxes = [box(mask) if mask.sum() > 12 else None for mask in masks]
        for before, after in pairwise(boxes):
            if before is not None and after is not None:
                steps.append(np.abs(after - before).max() / (before[2:] - before[:2]).max())
        known = [(each[2:] - each[:2]).max() for each in boxes if each is not None]
        growth += [known[-1] / known[0]] if len(known) > 5 else []
    assert len(growth) >= 2
    assert np.median(growth) > 1
    assert np.quantile(steps, 0.9) < 0.6, "they move by less than their size"


def test_things_look_the_same_in_every_frame():
    """What is far away hardly changes from frame to frame, but for the noise of the sensor."""
    first, second = drive(seconds=0.2, fps=10, domain="highway")[:2]
    change = np.abs(first.image[:12].astype(int) - second.image[:12])
    assert 0 < np.median(change) < 8


def test_a_street_may_hold_nothing_unknown():
    assert not any(frame.unknown.any() for frame in drive(unknown_count=0, seconds=0.4))


@pytest.mark.parametrize("options", [{"domain": "sea"}, {"weather": "hail"}, {"unknown_count": 255}])
def test_drives_that_cannot_be_drawn(options):
    with pytest.raises(ValueError, match="no drive through"):
        drive(**options)
