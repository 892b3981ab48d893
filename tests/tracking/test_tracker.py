import pytest
from tracking_tables import HEIGHT, WIDTH, box_of, frames

from oodseg.core.prediction import Prediction
from oodseg.tracking import Tracker, track
from oodseg.tracking.tracker import MOST_FRAMES


def tracks(*rows, rate=10):
    """Per frame the identities of its objects, from left to right."""
    found = list(track(frames(*rows, rate=rate)))
    assert [each.time for each in found] == [number / rate for number in range(len(rows))]
    return [[each.track for each in sorted(one.objects, key=box_of)] for one in found]


def at(x, y=10, side=20):
    return x, y, x + side, y + side


def test_objects_keep_their_identity_and_are_numbered_as_they_appear():
    rows = [[at(0)], [at(5), at(100)], [at(10), at(103)], [at(106)], [at(109)]]
    assert tracks(*rows) == [[1], [1, 2], [1, 2], [2], [2]]


def test_motion_tells_apart_what_passes():
    """Two objects cross, and are lost meanwhile: where they were last, the other one comes out."""
    rows = [[] if 8 < n < 12 else [at(4 * n), at(80 - 4 * n)] for n in range(20)]
    found = tracks(*rows)
    assert found[0] == [1, 2]
    assert found[-1] == [2, 1]


def test_a_small_object_that_moves_by_its_own_size_is_one():
    assert tracks(*[[at(8 * n, side=6)] for n in range(8)]) == [[1]] * 8


def test_confidence_gathers_evidence():
    rows = [[(at(0), 0.5)], [(at(1), 0.2)], [], [(at(3), 0.9)]]
    found = [one.objects[0] for one in track(frames(*rows))]
    assert [each.confidence for each in found] == pytest.approx([0.5, 0.6, 0.6, 0.96])
    assert [each.frame_confidence for each in found] == [0.5, 0.2, None, 0.9]


def test_gaps_are_filled_in_between():
    found = list(track(frames([at(0)], [at(10)], [], [], [at(40)])))
    assert [box_of(one.objects[0]) for one in found] == [at(0), at(10), at(20), at(30), at(40)]
    assert {each.track for one in found for each in one.objects} == {1}


def test_nothing_is_shown_before_the_first_or_after_the_last_box():
    assert tracks([], [at(0)], [at(2)], [], [], []) == [[], [1], [1], [], [], []]


def test_a_lone_box_is_kept_and_not_shown():
    rows = [[at(0)], [at(2), at(150)], [at(4)], [at(6)]]
    found = list(track(frames(*rows)))
    assert [len(one.objects) for one in found] == [1, 1, 1, 1]
    (lone,) = found[1].unconfirmed
    assert (box_of(lone), lone.confidence, lone.track) == (at(150), 0.5, None)
    assert not found[1].mask[:, 150:170].any()
    assert sum(len(one.unconfirmed) for one in found) == 1


@pytest.mark.parametrize(
    ("rate", "gap", "same"), [(10, 9, True), (10, 10, False), (0.5, 1, True), (0.5, 2, False)]
)
def test_an_object_is_remembered_for_a_second_or_one_missed_frame(rate, gap, same):
    rows = [[at(0)], [at(0)], *[[] for _ in range(gap)], [at(0)], [at(0)]]
    found = tracks(*rows, rate=rate)
    assert found[:2] == [[1], [1]]
    assert found[-1] == ([1] if same else [2])
    assert found[2 : 2 + gap] == [[1] if same else []] * gap


def test_frames_wait_for_a_second_and_for_no_more():
    tracker = Tracker()
    waiting = 0
    for number, one in enumerate(frames(*[[] for _ in range(200)], rate=100)):
        waiting += 1 - len(tracker.update(one))
        assert waiting == min(number, MOST_FRAMES) + 1
    assert len(tracker.finish()) == waiting


def test_a_track_of_lone_boxes_far_apart_is_none():
    found = list(track(frames([at(0)], *[[] for _ in range(15)], [at(0)])))
    assert not any(one.objects for one in found)
    assert [len(one.unconfirmed) for one in found] == [1] + 15 * [0] + [1]


def test_what_a_prediction_says_else_stays():
    given = frames([at(0)], [at(1)])
    first, _ = track(given)
    assert (first.height, first.width, first.time) == (HEIGHT, WIDTH, 0.0)
    assert first.objects[0].rle == given[0].objects[0].rle


@pytest.mark.parametrize("times", [(None,), (0.0, 0.0), (1.0, 0.5)])
def test_frames_without_order_are_refused(times):
    predictions = [Prediction(None, HEIGHT, WIDTH, time=time) for time in times]
    with pytest.raises(ValueError, match="later than that of the frame before"):
        list(track(predictions))
