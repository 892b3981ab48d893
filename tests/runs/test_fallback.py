"""A detector that nobody fitted keeps the statistics that the first run of a folder gave it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import oodseg.runs
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import Detector, statistics_of
from run_helpers import BOX, coco_of, save_photos, save_street


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return save_photos(tmp_path / "photos")


def predict(
    photos: Path, out: Path | None, score: str = "energy", **options: object
) -> oodseg.runs.PredictionRun:
    return oodseg.runs.predict(photos, "street", out, detector=f"street+{score}", device="cpu", **options)


def settings_of(out: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads((out / "run.json").read_text())["settings"]
    return found


def shift(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    """Has all statistics that are computed from now on differ, as on another machine or other images."""

    def shifted(detector: Detector) -> ScoreNormalizer:
        found = statistics_of(detector)
        return ScoreNormalizer(found.mean + by, found.std + by)

    monkeypatch.setattr("oodseg.runs.fallback.statistics_of", shifted)


def test_a_finished_run_is_found_finished_without_fitting(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    predict(photos, out)
    before = settings_of(out)["fitted"]
    shift(monkeypatch, 1.0)
    run = predict(photos, out)
    assert (run.images, run.done_before) == (3, 3)
    assert settings_of(out)["fitted"] == before
    assert "the earlier run in" in run.notes[0]


def test_further_images_join_under_the_same_statistics(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(photos, out)
    before = settings_of(out)["fitted"]
    save_street(photos / "later.png", BOX)
    run = predict(photos, out)
    assert (run.images, run.done_before) == (4, 3)
    assert settings_of(out)["fitted"] == before
    assert len(coco_of(out)["images"]) == 4


def test_results_of_another_score_recall_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(photos, out)
    with pytest.raises(ConfigError, match="holds results of other settings"):
        predict(photos, out, "msp")


def test_a_fresh_run_fits_anew(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    predict(photos, out)
    before = settings_of(out)["fitted"]
    shift(monkeypatch, 1.0)
    run = predict(photos, out, fresh=True)
    assert run.done_before == 0
    assert settings_of(out)["fitted"] == pytest.approx([each + 1.0 for each in before])


def test_a_score_that_learns_more_is_fitted_again_and_allowed_to_round(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    predict(photos, out, "sml")
    before = settings_of(out)["fitted"]
    shift(monkeypatch, 1e-9)
    run = predict(photos, out, "sml")
    assert run.done_before == 3
    assert settings_of(out)["fitted"] == before
    shift(monkeypatch, 1.0)
    with pytest.raises(ConfigError, match="fitted was"):
        predict(photos, out, "sml")


def test_the_usual_folder_is_recalled_by_its_settings(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    predict(photos, None, "msp")
    predict(photos, None)
    before = settings_of(Path("oodseg-results/2"))["fitted"]
    shift(monkeypatch, 1.0)
    assert predict(photos, None).done_before == 3
    assert settings_of(Path("oodseg-results/2"))["fitted"] == before
    assert not Path("oodseg-results/3").exists()
