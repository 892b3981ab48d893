"""The notebooks run from top to bottom, and are committed without outputs."""

import re
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def printed(notebook):
    return "".join(
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )


def shown(notebook, kind):
    outputs = (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    return [data[kind] for data in outputs if kind in data]


def run(path, folder):
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    settings = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=settings).execute()
    return notebook


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["compare_methods", "own_scores"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_without_outputs(path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.slow
def test_own_scores(tmp_path) -> None:
    notebook = run(EXAMPLES / "own_scores.ipynb", tmp_path)
    text = printed(notebook)
    assert len(shown(notebook, "image/png")) == 1
    assert len(shown(notebook, "text/html")) == 4
    assert len(re.findall(r"^scene \d: \d drawn", text, re.MULTILINE)) == 4
    found = {int(height): int(n) for height, n in re.findall(r"^ +(\d) +(\d+) of 6", text, re.MULTILINE)}
    assert list(found) == [1, 2, 4, 8]
    # What the text says of these rows.
    assert found[1] < found[4]
    assert found[8] >= 4


@pytest.mark.slow
def test_compare_methods(tmp_path) -> None:
    notebook = run(EXAMPLES / "compare_methods.ipynb", tmp_path)
    text = printed(notebook)
    assert len(shown(notebook, "text/html")) == 2
    rows = dict(re.findall(r"^(AuPRC|AuIoU|AP50) +(.*)$", text, re.MULTILINE))
    values = {name: [float(value) for value in re.findall(r"([\d.]+) \(", row)] for name, row in rows.items()}
    assert len(values["AuPRC"]) == len(values["AuIoU"]) == 4
    assert len(values["AP50"]) == 2
    # What the text says: a detector ranks well, and its AuIoU is poor.
    for detector, pipeline in ((1, 0), (3, 2)):
        assert values["AuPRC"][detector] > 0.7
        assert values["AuIoU"][detector] < values["AuIoU"][pipeline]
    assert re.search(r"^AuIoU, objectness minus entropy: [+-]", text, re.MULTILINE)
