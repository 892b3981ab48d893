import duckdb
import pytest
from typer.testing import CliRunner

import oodseg.runs.fleet.pools as pools
from oodseg.cli.main import app
from run_helpers import assert_sentence, save_photos


def invoke(*arguments):
    return CliRunner().invoke(app, ["predict", *(str(each) for each in arguments)])


@pytest.fixture
def _in_this_process(monkeypatch):
    """In place of Ray, which takes its time to start."""
    monkeypatch.setattr(
        pools.RayPool, "__call__", lambda self, assignment, chunks: pools.here(assignment, chunks)
    )


@pytest.mark.usefixtures("_in_this_process")
def test_rows_in_parquet(red, tmp_path):
    photos, out = save_photos(tmp_path / "photos"), tmp_path / "out"
    result = invoke(photos, "--pipeline", red, "--engine", "ray", "--out", out)
    assert result.exit_code == 0, result.output
    assert "images per second" in result.output
    assert f"{out}/rows/model_id=" in result.output
    counts = duckdb.sql(f"SELECT len(objects) FROM '{out}/rows/*/*.parquet'").fetchall()
    assert counts == [(1,)] * 3
    (photos / "2.png").write_text("no image")
    result = invoke(photos, "--pipeline", red, "--engine", "ray", "--out", out)
    assert result.exit_code == 1
    assert "2.png is not an image" in result.output


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--engine", "ray", "--save-crops"), "--save-crops is for --engine loop"),
        (("--workers", "2"), "--workers is for --engine ray"),
        (("--out", "s3://bucket/found"), "--engine ray alone"),
    ],
)
def test_options_of_the_other_engine(red, tmp_path, options, word):
    assert_sentence(invoke(tmp_path, "--pipeline", red, *options), 2, word)
