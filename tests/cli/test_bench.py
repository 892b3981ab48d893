import json

import pytest
from typer.testing import CliRunner

from oodseg.cli.main import app
from redness import save_street


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("oodseg.runs.timing.SIZES", ((160, 128), (256, 128)))


def bench(red, *arguments):
    return CliRunner().invoke(
        app,
        ["bench", *map(str, arguments), "--pipeline", str(red), "--runs", "2", "--threads", "1"],
        env={"COLUMNS": "200"},
    )


def test_json_names_every_stage_of_every_size(red):
    result = bench(red, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [(each["width"], each["height"]) for each in report["results"]] == [(160, 128), (256, 128)]
    for each in report["results"]:
        stages = each["milliseconds"]
        assert set(stages) == {"read", "detector", "prompts", "masks", "total"}
        assert all(value >= 0 for value in stages.values())
        assert stages["total"] >= max(stages["detector"], stages["masks"]) - 1
        assert each["peak_mib"] is None or each["peak_mib"] > 10
    assert report["threads"] == 1
    assert {"machine", "load_seconds", "first_load_seconds"} <= set(report)
    assert report["promise"] is None


def test_table(red, tmp_path):
    result = bench(red, save_street(tmp_path / "a.png", (20, 20, 60, 60)))
    assert result.exit_code == 0, result.output
    for word in ("160x128", "256x128", "detector", "peak MiB", "medians of 2 warm runs"):
        assert word in result.output


def test_broken_image(red, tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    result = bench(red, tmp_path / "a.jpg")
    assert result.exit_code == 2
    assert "a.jpg is not an image" in result.output
