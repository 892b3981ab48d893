"""The guide names every setting with its default, and every problem."""

import re
from pathlib import Path

from oodseg.service.problems import TITLES, Problem
from oodseg.service.settings import Settings

GUIDE = (Path(__file__).parent.parent.parent / "docs/how-to/serve.md").read_text(encoding="utf-8")


def test_settings() -> None:
    rows = dict(re.findall(r"^\| `OODSEG_(\w+)` \| (.*?) \|", GUIDE, re.MULTILINE))
    assert [name.lower() for name in rows] == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if name != "jobs_folder":
            assert rows[name.upper()] == (f"`{field.default}`" if field.default not in {None, ()} else "none")
        assert f"| {field.description} |" in GUIDE


def test_problems() -> None:
    sections = dict(re.findall(r"^### ([a-z-]+)\n\n(\d+)\.", GUIDE, re.MULTILINE))
    assert {name: int(status) for name, status in sections.items()} == {
        kind: Problem(kind, "").status for kind in TITLES
    }
