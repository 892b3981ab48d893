"""What is kept of the last images."""

import numpy as np
from service_app import BOX, PALE, models, scene

from oodseg.core.parts import Assessment
from oodseg.service.results import _PIXELS, Results
from redness import street


def assessment(pixels):
    error = np.zeros((1, pixels), np.float32)
    return Assessment(error.astype(np.uint8), error, None, np.ones(2, np.float32), 1.0)


def test_the_oldest_go() -> None:
    loaded, results = models(), Results(2)
    found = loaded.find(scene(), "quiet")
    for digest in "abc":
        results.keep_prediction(digest, "quiet", found)
        results.keep_assessment(digest, assessment(9), [])
    assert results.prediction("a", "quiet", loaded) is None
    assert results.assessment("a") is None
    kept = results.prediction("c", "quiet", loaded)
    assert kept.objects == found.objects
    assert kept.open_image is None
    assert results.assessment("c") is not None


def test_large_assessments_leave_no_room_for_others() -> None:
    results = Results(9)
    for digest in "abc":
        results.keep_assessment(digest, assessment(_PIXELS // 2), [])
    assert [results.assessment(digest) is not None for digest in "abc"] == [False, True, True]
    results.keep_assessment("d", assessment(_PIXELS + 1), [])
    assert results.assessment("d") is None


def test_a_point_is_cut_out_of_a_readier_one() -> None:
    loaded, results = models(), Results(2)
    results.keep_prediction("a", "thorough", loaded.find(street(BOX), "thorough"))
    results.keep_prediction("b", "thorough", loaded.find(scene(), "thorough"))
    (found,) = results.prediction("b", "quiet", loaded).objects
    assert found.bbox[:2] == BOX[:2] != PALE[:2]
    assert results.prediction("c", "quiet", loaded) is None


def test_none_are_kept_where_none_are_wanted() -> None:
    loaded, results = models(), Results(0)
    results.keep_prediction("a", "quiet", loaded.find(scene(), "quiet"))
    assert results.prediction("a", "quiet", loaded) is None
