import json

import pytest
from typer.testing import CliRunner

import oodseg.runs
from oodseg.cli.main import app
from oodseg.core.errors import ConfigError
from oodseg.runs.comparing import Figure, compare
from redness import make_pipeline, save_street
from run_helpers import BOX

BLIND = "blind"


@pytest.fixture
def sources(red, tmp_path):
    """Results of a pipeline, and images in which there is nothing."""
    save_street(tmp_path / "photos" / "a.png", BOX)
    save_street(tmp_path / "photos" / "b.png", BOX, (80, 10, 110, 40))
    save_street(tmp_path / "ordinary" / "c.png")
    oodseg.runs.predict(tmp_path / "photos", red, tmp_path / "found")
    return tmp_path


def blind(path):
    """A pipeline that sees nothing."""
    seeing = make_pipeline()
    seeing.min_area = 10**6
    return seeing(path)


def test_figures_of_both(red, sources):
    found = compare(blind, red, sources / "out", objects=[sources / "found"], ordinary=[sources / "ordinary"])
    objects = next(each for each in found.figures if each.name == "mined objects found")
    assert (objects.before, objects.after, objects.of, objects.verdict) == (0, 3, 3, "too close to tell")
    assert found.gained == ["a.png#1", "b.png#1", "b.png#2"]
    assert found.lost == []
    assert found.figures[-1] == Figure("boxes on ordinary images", 0, 0, 1, False, "image")
    text = (sources / "out" / "comparison.md").read_text()
    assert "| boxes on ordinary images | 0 | 0 | 1 image | same |" in text
    assert "| mined objects found | 0 | 3 | 3 | too close to tell |" in text
    assert (
        json.loads((sources / "out" / "comparison.json").read_text())["figures"][0]["verdict"]
        == "too close to tell"
    )


@pytest.mark.parametrize(("figure", "verdict"), [
    (Figure("x", 1, 1, 3, True), "same"),
    (Figure("x", 4, 4, 9, True, "", 2, 2), "same"),
    (Figure("x", 30, 31, 40, True, "", 1, 0), "too close to tell"),
    (Figure("x", 5, 0, 9, True, "", 0, 5), "too close to tell"),
    (Figure("x", 6, 0, 9, True, "", 0, 6), "worse"),
    (Figure("x", 0, 6, 9, False, "", 6, 0), "worse"),
    (Figure("x", 10, 19, 40, True, "", 10, 1), "better"),
    (Figure("boxes", 20, 8, 30, False, "image", 1, 9), "better"),
    (Figure("boxes", 20, 8, 30, False, "image", 0, 1), "too close to tell"),
])  # fmt: skip
def test_only_a_clear_difference_is_better_or_worse(figure, verdict):
    assert figure.verdict == verdict


def test_what_changed_is_counted(red, sources):
    found = compare(blind, red, sources / "out", negatives=[sources / "found"], ordinary=[sources / "photos"])
    again, boxes = found.figures[0], found.figures[-1]
    assert (again.risen, again.fallen) == (3, 0)
    assert (boxes.after, boxes.of, boxes.risen, boxes.fallen) == (3, 2, 2, 0)
    assert "chance alone" in (sources / "out" / "comparison.md").read_text()


def test_nothing_to_compare_on(red):
    with pytest.raises(ConfigError, match="nothing to compare on"):
        compare(red, red)


def test_the_command(red, sources):
    out = sources / "out"
    arguments = ["compare", red, red, "--objects", sources / "found", "--out", out]
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert "mined objects found" in result.output
    assert "same" in result.output
    assert "comparison.md" in result.output
