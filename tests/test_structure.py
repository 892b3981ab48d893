"""What import-linter does not see: circles through a package's `__init__`, and imports inside functions."""

import ast
import importlib.util
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(importlib.util.find_spec("oodseg").origin).parent


def module_of(path):
    parts = ["oodseg", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_of(path): ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def imported(tree):
    """All modules of ours that a piece of code imports anywhere: in functions and for types alone, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in TREES)
        elif isinstance(node, ast.ImportFrom) and node.module in TREES:
            names = {f"{node.module}.{each.name}" for each in node.names}
            # `from package import name` reads the package itself where the name is no module of it.
            yield from names & TREES.keys()
            if not names <= TREES.keys():
                yield node.module


GRAPH = {module: set(imported(tree)) for module, tree in TREES.items()}


def test_the_graph_is_that_of_the_package():
    assert len(GRAPH) > 100
    assert "oodseg.core.errors" in GRAPH["oodseg.core.spec"]
    assert "oodseg.pipeline" in GRAPH["oodseg"], "imports for types alone count"
    assert "oodseg.core.parts" in GRAPH["oodseg.failures"], "packages count"


def test_no_files_import_each_other():
    try:
        tuple(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_files_stay_short():
    """One idea a file, at most 300 lines of it; a command parses, calls the library and prints."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    most = {path: 120 if path.parent.name == "cli" else 300 for path in lengths}
    assert not {path.relative_to(SOURCE).as_posix(): n for path, n in lengths.items() if n > most[path]}


def test_imports_are_absolute():
    relative = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_modules_of_ours_are_imported_at_the_top():
    """Outside the commands, which answer `--help` before they load anything."""
    inside = [
        f"{module}, {function.name}"
        for module, tree in TREES.items()
        if not module.startswith("oodseg.cli.")
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and any(imported(function))
    ]
    assert not inside


def test_parts_are_asked_for_nothing_that_their_contract_lacks():
    """`getattr` and `hasattr` with a name in quotes are for libraries alone, where they are listed."""
    probing = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("getattr", "hasattr") and isinstance(node.args[1], ast.Constant)
    }
    # Streams of Python, torch's CPU facts, and the outputs of a segmenter of the user's own.
    assert probing == {"oodseg.cli.main", "oodseg.core.devices", "oodseg.segmenters.own"}


def test_docstrings_say_what_something_is_or_does():
    """Google's style: a verb, or a noun for what is no function; no question that the code then answers."""
    questions = [
        f"{module}, {getattr(node, 'name', 'the module')}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if not getattr(node, "name", "").startswith("_")
        if (ast.get_docstring(node) or "").startswith(("What ", "Whether ", "How ", "Which ", "Where "))
    ]
    assert not questions


def test_a_percent_sign_stands_behind_a_space():
    """In messages, on pages and in documents."""
    joined = re.compile(r"\.\d%\}|\d%[ ,.:;)]")
    files = [*SOURCE.rglob("*.py"), *SOURCE.parents[1].glob("docs/**/*.md")]
    assert not [str(path) for path in files if joined.search(path.read_text("utf-8"))]
