"""The documents are run: their Python, and their commands as far as names go."""

import ast
import re
import shlex
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer

import oodseg.core.build
import oodseg.core.bundle
import oodseg.core.stages
from oodseg import S2M, __version__
from oodseg.cli.main import app
from oodseg.core.normalization import ScoreNormalizer
from oodseg.core.parts import describe
from oodseg.detectors import Detector
from oodseg.detectors.scores import SCORES
from oodseg.detectors.street import StreetDetector
from oodseg.masks import PromptableSegmenter
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts import PromptGenerator
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.street import StreetNet

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
)
# Their blocks run one after the other; those of the other pages stand for a model of the reader's.
GUIDES = (
    "docs/tutorial/first-image.md",
    "docs/how-to/many-images.md",
    "docs/how-to/own-model.md",
    "docs/how-to/own-scores.md",
    "docs/how-to/evaluate.md",
    "docs/how-to/export.md",
)
TINY = {"widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1]}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL)


def commands():
    """Every command line of a console block or between single backticks."""
    for name in DOCUMENTS:
        lines = [line for block in blocks(name, "console") for line in block.splitlines()]
        prose = re.sub(r"^```.*?^```$", "", read(name), flags=re.MULTILINE | re.DOTALL)
        lines += re.findall(r"`([^`\n]+)`", prose)
        for line in lines:
            if re.match(r"(oodseg|make|python) \S", line.strip()):
                yield pytest.param(line.strip(), id=f"{name}: {line.strip()}")


ALL = list(commands())


@pytest.fixture
def street(tmp_path, monkeypatch, rng):
    """A folder with images and scores in which `street` is a tiny pipeline."""
    monkeypatch.chdir(tmp_path)
    detector = StreetDetector(StreetNet(**TINY))
    detector.normalizer = ScoreNormalizer()
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained("tiny")
    found = oodseg.core.bundle.find_bundle

    def find_tiny(name, *inside, **says):
        return Path("tiny") if name == "street" and not inside else found(name, *inside, **says)

    for module in (oodseg.core.stages, oodseg.core.build):
        monkeypatch.setattr(module, "find_bundle", find_tiny)
    image = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
    for path in ("street.jpg", "photos/one.jpg"):
        Path(path).parent.mkdir(exist_ok=True)
        cv2.imwrite(path, image)
    Path("my_scores").mkdir()
    scores = rng.normal(size=(64, 96)).astype(np.float32)
    scores[28:36, 44:52] += 20
    np.save("my_scores/street.npy", scores)
    for kind in ("images", "labels"):
        Path("DATASET", kind).mkdir(parents=True)
    cv2.imwrite("DATASET/images/one.png", image)
    cv2.imwrite("DATASET/labels/one.png", (scores > 10).astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_python_of_the_readme(street, number) -> None:
    names = {}
    exec(compile(blocks("README.md", "python")[number], f"README.md, block {number}", "exec"), names)
    assert isinstance(names["s2m"], S2M)


def test_python_of_contributing(street) -> None:
    names = {}
    try:
        for number, block in enumerate(blocks("CONTRIBUTING.md", "python")):
            exec(compile(block, f"CONTRIBUTING.md, block {number}", "exec"), names)
    finally:
        SCORES.pop("margin", None)
    assert isinstance(names["prompts"], PromptGenerator)
    assert isinstance(names["masks"], PromptableSegmenter)
    assert isinstance(names["detector"], Detector)
    assert names["s2m"].detector.fitted
    assert describe(names["redness"]) == {"name": "redness", "gain": 2.0}
    assert describe(names["prompts"]) == {"name": "peak", "side": 32.0}
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    sure, unsure = names["margin"](logits)
    assert 0 <= sure < unsure <= 1
    prediction = S2M(None, names["prompts"], names["masks"])("street.jpg", "my_scores/street.npy")
    (found,) = prediction.objects
    assert found.area == pytest.approx(np.pi * 16**2, rel=0.5)


@pytest.mark.parametrize("name", GUIDES)
def test_python_of_a_guide(street, name) -> None:
    names = {}
    for number, block in enumerate(blocks(name, "python")):
        exec(compile(block, f"{name}, block {number}", "exec"), names)
    assert names


def test_the_readme_imports_from_oodseg_alone() -> None:
    """What users need first is not three levels down."""
    for block in blocks("README.md", "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                assert node.module == "oodseg"
            elif isinstance(node, ast.Import):
                assert all("." not in each.name for each in node.names)


@pytest.mark.parametrize(
    "name",
    [*DOCUMENTS, "benchmarks/RESULTS.md", "benchmarks/ABLATIONS.md", "src/oodseg/weights/street/README.md"],
)
def test_columns_of_a_table_have_heads_of_their_own(name) -> None:
    lines = read(name).splitlines()
    heads = [
        lines[k - 1].strip("|").split("|")
        for k in range(1, len(lines))
        if re.match(r"\|[ :|-]+\|$", lines[k])
    ]
    for head in heads:
        named = [each.strip() for each in head if each.strip()]
        assert len(set(named)) == len(named), head


def test_the_first_two_commands() -> None:
    assert blocks("README.md", "console")[:2] == ["make demo\n", "make test\n"]


@pytest.mark.parametrize("line", [each for each in ALL if each.values[0].startswith("oodseg")])
def test_command_exists(line) -> None:
    words = shlex.split(line.split(" && ")[0])[1:]
    command = typer.main.get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{line}: there is no verb {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= known


@pytest.mark.parametrize("line", [each for each in ALL if each.values[0].startswith("make")])
def test_make_target_exists(line) -> None:
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    assert line.split()[1] in targets


@pytest.mark.parametrize("line", [each for each in ALL if each.values[0].startswith("python")])
def test_script_exists_and_knows_its_options(line) -> None:
    words = shlex.split(line)
    source = read(words[1].replace("street-onnx/", "examples/"))
    for option in (word for word in words if word.startswith("--") and word != "--help"):
        assert f'"{option}"' in source


def test_options_named_in_prose_exist() -> None:
    command = typer.main.get_command(app)
    stack, known = [command], {"--help"}
    while stack:
        each = stack.pop()
        stack += getattr(each, "commands", {}).values()
        known |= {option for param in each.params for option in (*param.opts, *param.secondary_opts)}
    named = {option for name in DOCUMENTS for option in re.findall(r"`(--[a-z-]+)", read(name))}
    assert named
    assert named <= known


def test_every_extra_is_listed() -> None:
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    listed = re.findall(r"^\| `(\w+)` \|", read("docs/how-to/install.md"), re.MULTILINE)
    assert sorted(listed) == sorted(set(extras) - {"docs", "dev"})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", read(name))
    for target in (each for each in targets if not each.startswith("http")):
        assert ((ROOT / name).parent / target).exists(), target


def test_every_benchmark_is_listed() -> None:
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts == set(re.findall(r"benchmarks/(\w+\.py)", read("benchmarks/README.md")))


def test_every_verb_is_in_the_readme_or_the_changelog() -> None:
    text = read("README.md") + read("CHANGELOG.md")
    assert [verb for verb in typer.main.get_command(app).commands if verb not in text] == []


@pytest.mark.parametrize("name", ["README.md", *(name for name in DOCUMENTS if name.startswith("docs/"))])
def test_examples_import_from_the_top(name) -> None:
    """Users need no module of a module; those who extend the package do (CONTRIBUTING.md)."""
    assert re.findall(r"^ *(?:from|import) oodseg\.\w+\.\w.*", "".join(blocks(name, "python")), re.M) == []


def test_the_changelog_has_this_version_or_what_is_unreleased() -> None:
    heading = rf"^## \[(Unreleased|{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d)"
    assert re.search(heading, read("CHANGELOG.md"), re.MULTILINE)
