"""Tracks against the truth, from frames and labels on disk."""

import json

import cv2
import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import DatasetError
from redness import HEIGHT, WIDTH, make_pipeline, save_street
from run_helpers import count_calls


def box(number):
    return 4 + 6 * number, 30, 28 + 6 * number, 54


def save_sequence(root, count=6, hidden=(), extra=(), size=(HEIGHT, WIDTH)):
    """A box that moves; `hidden` frames do not show it though the truth says so, `extra` show another one."""
    (root / "labels").mkdir(parents=True)
    for number in range(count):
        shown = [] if number in hidden else [box(number)]
        save_street(
            root / "images" / f"{number}.png", *shown, *([(90, 64, 110, 84)] if number in extra else [])
        )
        label = np.zeros(size, np.uint8)
        x0, y0, x1, y1 = box(number)
        label[y0:y1, x0:x1] = 5
        cv2.imwrite(str(root / "labels" / f"{number}.png"), label)
    return root


def test_a_perfect_sequence(tmp_path):
    root = save_sequence(tmp_path / "a")
    found = oodseg.runs.evaluate_sequences([root], make_pipeline(), tmp_path / "out", fps=10)
    metrics = found.metrics
    assert (metrics.objects, metrics.recall, metrics.coverage) == (1, 1, 1)
    assert (metrics.switches, metrics.flicker, metrics.false_tracks) == (0, 0, 0)
    assert metrics.minutes == pytest.approx(0.6 / 60)
    written = json.loads((tmp_path / "out" / "track_metrics.json").read_text())
    assert written["metrics"]["coverage"] == 1
    assert {path.name for path in found.files} == {
        "tracks.mp4",
        "tracks.json",
        "tracks.csv",
        "track_metrics.json",
    }


def test_several_sequences_and_what_goes_wrong_in_them(tmp_path):
    first = save_sequence(tmp_path / "a", hidden=(2,))  # filled in
    second = save_sequence(tmp_path / "b", extra=(1, 2, 3))
    out = tmp_path / "out"
    metrics = oodseg.runs.evaluate_sequences([first, second], make_pipeline(), out, fps=10).metrics
    assert (metrics.objects, metrics.coverage, metrics.flicker) == (2, 1, 0)
    assert (metrics.tracks, metrics.false_tracks) == (3, 1)
    assert metrics.false_per_minute == pytest.approx(1 / (1.2 / 60))
    assert (out / "a" / "tracks.csv").is_file()
    assert (out / "b" / "tracks.csv").is_file()


def test_it_resumes(tmp_path, monkeypatch):
    root = save_sequence(tmp_path / "a")
    first = oodseg.runs.evaluate_sequences([root], make_pipeline(), tmp_path / "out", fps=10)
    calls = count_calls(monkeypatch)
    again = oodseg.runs.evaluate_sequences([root], make_pipeline(), tmp_path / "out", fps=10)
    assert (calls, again.metrics) == ([], first.metrics)


def test_nothing_found_is_no_error(tmp_path):
    root = save_sequence(tmp_path / "a", hidden=range(6))
    found = oodseg.runs.evaluate_sequences([root], make_pipeline(), tmp_path / "out", fps=10)
    assert (found.metrics.recall, found.metrics.tracks) == (0, 0)
    assert dict(found.facts())["identity switches per 100 found frames"] == "-"
    assert json.loads((tmp_path / "out" / "track_metrics.json").read_text())["metrics"]["flicker"] is None


def test_labels_of_another_size_are_refused(tmp_path):
    root = save_sequence(tmp_path / "a", size=(HEIGHT, 2 * WIDTH))
    with pytest.raises(DatasetError, match=r"0.png differs in size from its frame"):
        oodseg.runs.evaluate_sequences([root], make_pipeline(), tmp_path / "out", fps=10)
