"""Builds the distributions and tries the wheel where only it and its core dependencies are installed.

    python scripts/release_check.py [--tag v1.2.3]

sdist and wheel are left in dist/. The wheel must hold every file of the package and nothing else. Then, in a
fresh environment and an empty folder, `oodseg --version` must print the version and `oodseg demo` must find
objects. With --tag, the tag must be the version, and the changelog must have a dated section for it.

Runs in the environment of `make setup`, which brings uv. Torch and torchvision are installed in one step,
pinned by constraints.txt, because their releases match in pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGE = ROOT / "src" / "oodseg"
UV = (sys.executable, "-m", "uv")


def main() -> None:
    """Runs all checks; the first that fails ends the script with exit code 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", default="", help="the tag that is to be released, such as v1.2.3")
    tag = parser.parse_args().tag
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if f"\nversion: {version}\n" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8"):
        fail(f"CITATION.cff does not name version {version}")
    if tag:
        check_tag(tag, version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    wheel = build(version)
    check_contents(wheel)
    with tempfile.TemporaryDirectory(prefix="oodseg-release-") as folder:
        check_install(wheel, version, Path(folder))
    print(f"{wheel.name} can be released")


def check_tag(tag: str, version: str, changelog: str) -> None:
    """Checks that the tag names the version and that the changelog has a dated section for it."""
    if tag != f"v{version}":
        fail(f"the tag is {tag}, the version in pyproject.toml {version}")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        fail(f"CHANGELOG.md has no heading '## [{version}] - YYYY-MM-DD'")


def build(version: str) -> Path:
    """Builds the sdist, and the wheel from the sdist; returns the wheel."""
    for old in [*DIST.glob("oodseg-*.whl"), *DIST.glob("oodseg-*.tar.gz")]:
        old.unlink()
    run([*UV, "build", "--quiet", "--out-dir", str(DIST), str(ROOT)])
    wheel = DIST / f"oodseg-{version}-py3-none-any.whl"
    for path in (wheel, DIST / f"oodseg-{version}.tar.gz"):
        if not path.is_file():
            fail(f"the build did not write {path.name}")
        print(f"built {path.name}, {path.stat().st_size / 1e6:.1f} MB")
    return wheel


def check_contents(wheel: Path) -> None:
    """Compares the files of the wheel with those of the package."""
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    tracked = run(["git", "ls-files", "-z", "--cached", "src/oodseg"], cwd=ROOT).split("\0")
    wanted = {name.removeprefix("src/") for name in tracked if name}
    for what, names in (("lacks", wanted - packed), ("should not hold", packed - wanted)):
        if names:
            fail(f"the wheel {what} {', '.join(sorted(names))}")
    print(f"holds the {len(packed)} files of the package")


def check_install(wheel: Path, version: str, folder: Path) -> None:
    """Installs the wheel alone into a fresh environment and runs it in an empty folder."""
    venv, empty = folder / "venv", folder / "empty"
    empty.mkdir()
    scripts = venv / ("Scripts" if os.name == "nt" else "bin")
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(venv)])
    python = str(scripts / "python")
    constraints = str(ROOT / "constraints.txt")
    run([*UV, "pip", "install", "--quiet", "--python", python, "-c", constraints, str(wheel)])
    oodseg = str(scripts / "oodseg")
    said = run([oodseg, "--version"], cwd=empty).strip()
    if said != f"oodseg {version}":
        fail(f"`oodseg --version` prints '{said}', not 'oodseg {version}'")
    run([oodseg, "demo"], cwd=empty)
    found = json.loads((empty / "demo" / "predictions.json").read_text(encoding="utf-8"))
    overlays = list((empty / "demo" / "overlays").iterdir())
    if not found["annotations"] or len(overlays) != len(found["images"]):
        fail(f"`oodseg demo` found {len(found['annotations'])} objects and drew {len(overlays)} overlays")
    print(f"{said} finds {len(found['annotations'])} objects in {len(overlays)} drawn scenes")


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Runs a command without this environment's Python settings and returns what it printed."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    settings |= {"PYTHONUTF8": "1"}
    settings.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        command, cwd=cwd, env=settings, check=False, text=True, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        fail(f"`{' '.join(command)}` exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fail(reason: str) -> None:
    """Ends the script."""
    sys.exit(f"release check: {reason}")


if __name__ == "__main__":
    main()
