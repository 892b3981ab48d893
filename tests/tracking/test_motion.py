import numpy as np
import pytest

from oodseg.tracking.motion import predict_box


def predict(rows, time):
    times = [row[0] for row in rows]
    return predict_box(times, [np.array(row[1:], float) for row in rows], time)


@pytest.mark.parametrize(
    ("rows", "time", "expected"),
    [
        ([(0, 10, 10, 20, 20)], 5, (10, 10, 20, 20)),  # nothing is known of its velocity
        ([(0, 0, 0, 10, 10), (1, 5, 2, 15, 12)], 3, (15, 6, 25, 16)),
        ([(0, 0, 0, 10, 10), (0.5, 5, 2, 15, 12)], 1.5, (15, 6, 25, 16)),  # twice as fast
        # It doubles in a second, about one centre.
        ([(0, 10, 10, 20, 20), (1, 5, 5, 25, 25)], 2, (-5, -5, 35, 35)),
        # It never grows to more than twice the size unseen, and never turns inside out.
        ([(0, 10, 10, 20, 20), (1, 5, 5, 25, 25)], 9, (-5, -5, 35, 35)),
        ([(0, 0, 0, 16, 16), (1, 4, 4, 12, 12)], 9, (6, 6, 10, 10)),
    ],
)
def test_boxes_move_on(rows, time, expected):
    assert predict(rows, time) == pytest.approx(expected)


def test_only_the_last_five_boxes_tell_the_velocity():
    still = [(number, 0, 0, 10, 10) for number in range(10)]
    moving = [(10 + number, 10 * number, 0, 10 + 10 * number, 10) for number in range(5)]
    assert predict(still + moving, 15) == pytest.approx((50, 0, 60, 10))
