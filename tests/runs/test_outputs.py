"""The files that a run of the pipeline writes beside masks and confidence maps."""

import csv
import json
import re
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

import oodseg.runs
from oodseg.core.errors import ConfigError
from oodseg.core.prediction import Prediction
from oodseg.io.scoremaps import read_score_map
from redness import HEIGHT, WIDTH, save_street
from run_helpers import BOX, assert_whole, coco_of, count_calls, save_photos


@pytest.fixture
def photos(tmp_path):
    save_photos(tmp_path / "photos")
    save_street(tmp_path / "photos" / "empty.png")
    save_street(tmp_path / "photos" / "two.png", BOX, (90, 5, 120, 30))
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_table_and_page(red, photos, out):
    run = oodseg.runs.predict(photos, red, out, save_crops=True)
    assert run.page == out / "index.html"
    rows = list(csv.DictReader((out / "objects.csv").open()))
    assert [row["file_name"] for row in rows] == ["1.png", "2.png", "3.png", "two.png", "two.png"]
    assert (rows[0]["x"], rows[0]["width"], rows[0]["area"]) == ("20", "40", "1600")
    cards = json.loads(re.search(r'id="data">(.*?)</script>', run.page.read_text(), re.DOTALL).group(1))[
        "cards"
    ]
    assert [card["name"] for card in cards][-1] == "empty.png"
    links = [link for card in cards for _, link in card["links"]]
    links += [card["thumbnail"] for card in cards] + [row["crop"] for row in rows]
    links += [found["crop"] for card in cards for found in card["objects"]]
    assert len(links) == 5 * 3 + 5 + 5 + 5
    for link in links:
        assert (out / unquote(link)).is_file(), link
    assert_whole(out)


def test_an_earlier_run_in_the_folder_is_listed_too(red, photos, out):
    oodseg.runs.predict(photos / "two.png", red, out)
    oodseg.runs.predict(photos / "1.png", red, out)
    assert len(list(csv.DictReader((out / "objects.csv").open()))) == 3
    assert "<b>2</b> images" in (out / "index.html").read_text()


def test_crops_show_the_object(red, photos, out):
    oodseg.runs.predict(photos / "two.png", red, out, save_crops=True)
    assert names(out / "crops") == ["two/1.jpg", "two/2.jpg"]
    boxes = {tuple(each["bbox"][2:]) for each in coco_of(out)["annotations"]}
    for number in (1, 2):
        crop = cv2.imread(str(out / "crops" / "two" / f"{number}.jpg"))
        red_pixels = (crop[:, :, 2] > 200) & (crop[:, :, 0] < 60)
        rows, columns = np.nonzero(red_pixels)
        size = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert any(np.allclose(size, box, atol=2) for box in boxes)
        assert crop.shape[0] > size[1]


@pytest.mark.parametrize("as_format", ["png", "npy"])
def test_scores_come_back_as_they_were(red, photos, out, tmp_path, as_format):
    """They can be handed in as score maps, with their statistics."""
    oodseg.runs.predict(photos / "two.png", red, out, save_scores=as_format)
    scores = read_score_map(out / "scores" / f"two.{as_format}").scores
    assert scores.shape == (HEIGHT, WIDTH)
    stats = (0.2, 0.05) if as_format == "png" else (0.0, 1.0)
    options = {"score_maps": out / "scores" / f"two.{as_format}", "score_stats": stats}
    oodseg.runs.predict(photos / "two.png", red, tmp_path / "again", **options)
    keys = ("bbox", "area")
    first, again = (
        [[each[key] for key in keys] for each in coco_of(folder)["annotations"]]
        for folder in (out, tmp_path / "again")
    )
    assert first == again


def test_gated_scores_lie_in_a_folder_of_their_own(red, photos, out, tmp_path):
    oodseg.runs.predict(photos / "two.png", red, out)
    for folder in (tmp_path / "gated", tmp_path / "other"):
        folder.mkdir()
        found = oodseg.runs.predict(photos / "two.png", red, out, score_out=folder)
        assert found.done_before == 0, "these files are missing yet"
        assert names(folder) == ["two.npy"]
        gated = np.load(folder / "two.npy")
        assert gated.shape == (HEIGHT, WIDTH)
        mask = cv2.imread(str(out / "masks" / "two.png"), cv2.IMREAD_GRAYSCALE) > 0
        assert gated[mask].min() > gated[~mask].max()
    assert oodseg.runs.predict(photos / "two.png", red, out, score_out=folder).done_before == 1


def test_scores_of_a_pipeline_that_shows_none(photos, out):
    def blind(image):
        return Prediction.from_masks(np.zeros((0, *image.shape[:2]), bool), np.zeros((0, 4)), [])

    with pytest.raises(ConfigError, match="does not show its scores"):
        oodseg.runs.predict(photos, blind, out, settings={"pipeline": "blind"}, save_scores="npy")


def test_only_hits_have_files_and_all_are_listed(red, photos, out, monkeypatch):
    oodseg.runs.predict(photos, red, out, only_hits=True)
    assert [path.stem for path in sorted((out / "masks").iterdir())] == ["1", "2", "3", "two"]
    assert len(coco_of(out)["images"]) == 5
    calls = count_calls(monkeypatch)
    assert oodseg.runs.predict(photos, red, out, only_hits=True).done_before == 5
    assert calls == []
    oodseg.runs.predict(photos, red, out)
    assert (out / "masks" / "empty.png").is_file()


def test_overlays_of_another_format_replace_the_first(red, photos, out):
    oodseg.runs.predict(photos / "two.png", red, out)
    assert names(out / "overlays") == ["two.jpg"]
    oodseg.runs.predict(photos / "two.png", red, out, overlays="png")
    assert names(out / "overlays") == ["two.png"]
    oodseg.runs.predict(photos / "two.png", red, out, overlays=None)
    assert names(out / "overlays") == ["two.png"], "nothing was redone"
