"""Sequences of boxes on a strip, worked out by hand."""

import math

import numpy as np
import pytest

from oodseg.metrics.instances import encode_mask
from oodseg.metrics.tracks import TrackCounter

HEIGHT, WIDTH = 10, 100


def strip(start, length=10):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, start : start + length] = True
    return encode_mask(mask)


def measure(*rows, seconds=6.0, minimum=10):
    """Each row is one frame: what is there and what is shown, identity to start or to (start, length)."""
    counter = TrackCounter(minimum)
    for row in rows:
        truth, tracks, *ignored = (
            {each: strip(*_pair(place)) for each, place in part.items()} for part in row
        )
        counter.update(truth, tracks, *(each[0] for each in ignored))
    counter.end_sequence(seconds)
    return counter.compute()


def _pair(place):
    return place if isinstance(place, tuple) else (place, 10)


def test_everything_found_as_one_track():
    found = measure(*[({1: 4 * n}, {7: 4 * n}) for n in range(10)])
    assert (found.objects, found.recall, found.mostly_found, found.coverage) == (1, 1, 1, 1)
    assert (found.switches, found.switches_per_100, found.flicker) == (0, 0, 0)
    assert (found.tracks, found.false_tracks, found.false_per_minute, found.minutes) == (1, 0, 0, 0.1)


def test_nothing_found():
    found = measure(*[({1: 0}, {})] * 4)
    assert (found.objects, found.recall, found.coverage) == (1, 0, 0)
    assert math.isnan(found.switches_per_100)
    assert math.isnan(found.flicker)


def test_nothing_there():
    found = measure(({}, {}))
    assert (found.objects, found.tracks, found.false_per_minute) == (0, 0, 0)
    assert math.isnan(found.recall)


@pytest.mark.parametrize(
    ("tracks", "switches"),
    [
        ([1, 1, 1, 1], 0),
        ([1, 1, 2, 2], 1),
        ([1, 2, 1, 2], 3),
        ([1, None, 2, 2], 1),  # also over a gap
        ([1, None, 1, None], 0),
        ([None, None, 2, 2], 0),
    ],
)
def test_switches(tracks, switches):
    rows = [({1: 0}, {} if track is None else {track: 0}) for track in tracks]
    found = measure(*rows)
    assert found.switches == switches
    assert found.switches_per_100 == pytest.approx(
        100 * switches / sum(track is not None for track in tracks)
    )


@pytest.mark.parametrize(
    ("shown", "flicker"),
    [("1111", 0), ("1011", 1 / 4), ("0110", 0), ("1001", 2 / 4), ("0100", 0), ("10101", 2 / 5)],
)
def test_flicker_counts_what_is_lost_between_first_and_last(shown, flicker):
    found = measure(*[({1: 0}, {1: 0} if each == "1" else {}) for each in shown])
    assert found.flicker == pytest.approx(flicker)
    assert found.coverage == pytest.approx(shown.count("1") / len(shown))


def test_two_objects_that_exchange_their_tracks():
    rows = [({1: 0, 2: 50}, {1: 0, 2: 50})] * 2 + [({1: 0, 2: 50}, {2: 0, 1: 50})] * 2
    found = measure(*rows)
    assert (found.switches, found.switches_per_100) == (2, 25)


def test_a_track_is_kept_while_it_matches_even_if_another_fits_better():
    rows = [({1: 0}, {1: 0}), ({1: 0}, {1: (0, 6), 2: 0})]  # IoU 0.6 and 1
    assert measure(*rows).switches == 0
    rows = [({1: 0}, {1: 0}), ({1: 0}, {1: (0, 4), 2: 0})]  # IoU 0.4: no match
    assert measure(*rows).switches == 1


def test_an_object_that_is_not_seen_for_a_while_is_not_lost():
    rows = [({1: 0}, {1: 0}), ({}, {}), ({}, {}), ({1: 0}, {1: 0})]
    found = measure(*rows)
    assert (found.flicker, found.coverage) == (0, 1)


@pytest.mark.parametrize(
    ("place", "false"), [((50, 10), 1), ((8, 10), 1), ((6, 10), 0), ((0, 40), 0), ((0, 60), 1)]
)
def test_false_tracks_have_less_than_a_quarter_on_objects(place, false):
    found = measure(({1: 0}, {5: place}), seconds=30)
    assert (found.false_tracks, found.false_per_minute) == (false, 2 * false)


def test_a_track_is_judged_as_a_whole():
    rows = [({1: 0}, {5: 0}), ({1: 0}, {5: 50}), ({1: 0}, {5: 50})]  # a third of it is right
    assert measure(*rows).false_tracks == 0


def test_what_is_ignored_counts_neither_way():
    row = ({}, {5: 50}, {0: 45})  # half of the track lies in the ignored region
    assert measure(row).false_tracks == 1
    assert measure(({}, {5: 50}, {0: (40, 30)})).false_tracks == 0


def test_small_objects_are_ignored():
    found = measure(*[({1: (0, 2)}, {1: (0, 2)})] * 3, minimum=30)
    assert (found.objects, found.tracks, found.false_tracks) == (0, 1, 0)


def test_several_sequences_have_identities_of_their_own():
    counter = TrackCounter()
    for track in (1, 2):
        for _ in range(2):
            counter.update({1: strip(0)}, {track: strip(0)})
        counter.end_sequence(30.0)
    found = counter.compute()
    assert (found.objects, found.tracks, found.switches, found.minutes) == (2, 2, 0, 1.0)


def test_means_are_over_objects():
    rows = [({1: 0, 2: 50}, {1: 0, 2: 50})] + [({1: 0, 2: 50}, {1: 0})] * 3
    found = measure(*rows)
    assert (found.recall, found.mostly_found, found.coverage) == (1, 0.5, (1 + 0.25) / 2)
