import numpy as np
import pytest

from oodseg.core.taxonomy import CLASSES, IGNORE, LOOSE
from oodseg.synth.loose import loose_things

ROAD, FAR = CLASSES.index("drivable"), CLASSES.index("far objects")


def street(*boxes):
    """Houses above a road that begins at row 40; loose things in the given boxes `(x0, y0, x1, y1)`."""
    labels = np.full((80, 100), FAR, np.uint8)
    labels[40:] = ROAD
    for x0, y0, x1, y1 in boxes:
        labels[y0:y1, x0:x1] = LOOSE
    return labels


def codes(numbers, box):
    x0, y0, x1, y1 = box
    return set(np.unique(numbers[y0:y1, x0:x1]).tolist())


@pytest.mark.parametrize(("box", "stands"), [
    ((20, 30, 30, 45), True),    # on the road
    ((20, 25, 30, 38), True),    # its foot two pixels from the road
    ((20, 20, 30, 30), False),   # on the wall
    ((20, 50, 24, 54), False),   # 16 pixels
    ((20, 10, 60, 60), False),   # a quarter of the scene
    ((0, 30, 10, 45), False),    # cut by the left border
    ((90, 60, 100, 75), False),  # by the right one
    ((20, 70, 30, 80), False),   # by the lower one
])  # fmt: skip
def test_a_thing_is_to_be_found_where_it_stands_on_the_ground_and_is_seen_whole(box, stands) -> None:
    numbers = loose_things(street(box))
    assert codes(numbers, box) == ({128} if stands else {IGNORE})
    assert (numbers[street(box) != LOOSE] == 0).all()


def test_every_thing_has_a_number_of_its_own() -> None:
    boxes = [(20, 30, 30, 45), (40, 30, 50, 45), (60, 5, 70, 20)]
    numbers = loose_things(street(*boxes))
    assert [codes(numbers, box) for box in boxes] == [{128}, {129}, {IGNORE}]


def test_a_thing_needs_ground_under_a_third_of_its_width() -> None:
    labels = street((20, 30, 40, 40))
    labels[40:, 25:] = FAR
    assert codes(loose_things(labels), (20, 30, 40, 40)) == {IGNORE}
    labels[40:, 25:30] = ROAD
    assert codes(loose_things(labels), (20, 30, 40, 40)) == {128}


def test_more_things_than_numbers_are_not_judged() -> None:
    labels = np.full((400, 1400), ROAD, np.uint8)
    for index in range(200):
        y, x = 20 * (index // 60) + 5, 20 * (index % 60) + 5
        labels[y : y + 10, x : x + 10] = LOOSE
    numbers = loose_things(labels)
    assert set(np.unique(numbers).tolist()) == {0, *range(128, 254), IGNORE}
    assert (numbers[labels == LOOSE] != 0).all()
