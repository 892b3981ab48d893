"""Checks that the environment holds exactly the lowest versions that pyproject.toml allows.

    uv pip install --resolution lowest-direct -e ".[dev]"
    python scripts/lowest_versions.py

A requirement of another package can raise a version above our bound, which the tests then say nothing about.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Lists requirements whose installed version is not their bound; exit code 1 if there are any."""
    path = Path(__file__).resolve().parent.parent / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    faults = []
    for requirement in sorted({each for group in groups for each in group if ">=" in each}):
        name, bound = requirement.split(">=")
        installed = version(name.partition("[")[0])
        if numbers(installed)[: len(numbers(bound))] != numbers(bound):
            faults.append(
                f"{requirement}: installed is {installed}; raise the bound, or lower what needs more"
            )
    sys.exit("\n".join(faults))


def numbers(text: str) -> list[int]:
    """Returns the numbers of a version, without zeros at the end."""
    found = [int(each) for each in re.findall(r"\d+", text.partition("+")[0])]
    while found and found[-1] == 0:
        found.pop()
    return found


if __name__ == "__main__":
    main()
