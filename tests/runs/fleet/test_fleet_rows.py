import io

import numpy as np
import pytest
from fleet_cases import StandIn
from PIL import Image

from oodseg.core.errors import ConfigError, ScoreMapError
from oodseg.runs.fleet.rows import Fetched, fetch, predicted_row, reused_row, score_quantiles
from oodseg.runs.fleet.schema import row_schema

MODEL = "0" * 64


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def picture():
    image = np.full((20, 30, 3), 60, np.uint8)
    image[4:9, 10:20] = 250, 10, 10
    return png(image)


def test_a_row_holds_all_that_is_known(picture):
    fetched = Fetched("/photos/a.png", "9-1", {"drive": "d1"}, picture, milliseconds=5.0)
    row = predicted_row(fetched, StandIn(), MODEL)
    assert list(row) == [*row_schema().names, "drive"]
    assert (row["width"], row["height"], row["bytes"]) == (30, 20, len(picture))
    assert (row["drive"], row["error"], row["error_kind"], row["model"]) == ("d1", None, None, MODEL)
    (found,) = row["objects"]
    assert (found["bbox"], found["area"], found["confidence"]) == ((10.0, 4.0, 10.0, 5.0), 50, 0.75)
    assert found["rle"]["size"] == [20, 30]
    assert row["score"]["max"] == 1.0
    assert row["score"]["min"] == row["score"]["q50"] == 0.0
    assert row["milliseconds"]["total"] >= 6.0, "reading counts"


@pytest.mark.parametrize(
    ("data", "word"),
    [(b"", "empty"), (b"no image at all", "not an image"), ("cut", "truncated"), ("small", "too small")],
)
def test_an_unreadable_image_is_a_row(picture, data, word):
    data = {"cut": picture[: len(picture) - 30], "small": png(np.zeros((2, 2, 3), np.uint8))}.get(data, data)
    row = predicted_row(Fetched("a.png", None, {}, data), StandIn(), MODEL)
    assert word in row["error"]
    assert "a.png" in row["error"]
    assert (row["error_kind"], row["objects"]) == ("image", [])
    assert row["id"] is not None


def test_what_cannot_be_fetched_is_a_row_without_an_id():
    def fails(path):
        raise ConnectionError("the line is dead")

    row = predicted_row(fetch("s3://bucket/a.png", None, {}, fails), StandIn(), MODEL)
    assert (row["id"], row["error_kind"], row["bytes"]) == (None, "store", None)
    assert "the line is dead" in row["error"]


def test_a_pipeline_that_fails_on_one_image_does_not_end_the_run(picture):
    def fails(image):
        raise ZeroDivisionError("by zero")

    row = predicted_row(Fetched("a.png", None, {}, picture), fails, MODEL)
    assert row["error_kind"] == "pipeline"
    assert "ZeroDivisionError: by zero" in row["error"]


@pytest.mark.parametrize(("error", "ends"), [(ScoreMapError("no scores"), False), (ConfigError("no"), True)])
def test_errors_of_the_image_stay_with_it_and_others_end_the_run(picture, error, ends):
    def fails(image):
        raise error

    fetched = Fetched("a.png", None, {}, picture)
    if ends:
        with pytest.raises(ConfigError):
            predicted_row(fetched, fails, MODEL)
    else:
        assert predicted_row(fetched, fails, MODEL)["error_kind"] == "image"


def test_known_bytes_keep_their_result_under_their_new_name(picture):
    before = predicted_row(Fetched("/old/a.png", "1", {"drive": "d1"}, picture), StandIn(), MODEL)
    after = reused_row(Fetched("/new/b.png", "2", {"drive": "d2"}, picture), before)
    assert (after["path"], after["stamp"], after["drive"]) == ("/new/b.png", "2", "d2")
    assert after["objects"] == before["objects"]
    assert list(after) == list(before)


def test_quantiles_by_hand():
    found = score_quantiles(np.arange(101, dtype=np.float32).reshape(101, 1))
    assert found == {"min": 0, "q05": 5, "q25": 25, "q50": 50, "q75": 75, "q95": 95, "q99": 99, "max": 100}
    assert score_quantiles(None) is None
