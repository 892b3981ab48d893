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


def test_comparison(red, monkeypatch):
    size = {"width": 160, "height": 128, "runs": 2, "objects": 1, "peak_mib": None, "ratio": 1.0}
    times = dict.fromkeys(("read", "detector", "prompts", "masks", "total"), 12.3)
    size |= {"milliseconds": times, "least_milliseconds": times, "difference": 0.00125}
    row = {"runtime": "torch", "load_seconds": 1.0, "first_seconds": 2.0, "sizes": [size]}
    known = {"pipeline": "red", "threads": 1, "machine": {"cores": 2, "processor": "AVX2", "torch": "2"}}
    rows = [
        {**row, "precision": "float32", "fallback": None},
        {**row, "precision": "bfloat16", "fallback": "torch runs it"},
    ]
    asked = {}

    def compare(pipeline, image, **options):
        asked.update(options, pipeline=pipeline)
        return {**known, "results": rows}

    monkeypatch.setattr("oodseg.runs.comparison.compare_runtimes", compare)
    result = bench(red, "--compare")
    assert result.exit_code == 0, result.output
    for word in ("160x128", "float32", "bfloat16", "0.125 %", "1.00", "note: torch runs it", "fastest of 2"):
        assert word in result.output
    assert asked["runs"] == 2
    assert asked["pipeline"] == str(red)
    assert json.loads(bench(red, "--compare", "--json").stdout)["results"] == rows
    refused = bench(red, "--compare", "--precision", "full")
    assert refused.exit_code == 2
    assert "--precision has no effect on --compare" in refused.output
