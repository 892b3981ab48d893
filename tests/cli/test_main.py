import errno
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import oodseg
from oodseg.cli import main as module
from oodseg.cli.main import app
from oodseg.core.errors import ConfigError

VERBS = [
    "predict",
    "failures",
    "volumes",
    "fit",
    "evaluate",
    "datasets",
    "train",
    "models",
    "export",
    "bench",
    "demo",
]


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"oodseg {oodseg.__version__}"


def test_help_names_every_verb():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for verb in VERBS:
        assert verb in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_needs_no_heavy_library():
    heavy = ("torch", "torchvision", "lightning", "cv2", "matplotlib", "numpy")
    code = (
        "import sys; from oodseg.cli.main import app\n"
        "try: app(['--help'])\n"
        f"finally: print('loaded', [name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "predict" in found.stdout
    assert found.stdout.splitlines()[-1] == "loaded []"


def test_package_names_are_found_when_used():
    code = (
        "import sys, oodseg; print('numpy' in sys.modules); oodseg.Prediction; oodseg.OodObject; "
        "print('torch' in sys.modules, 'S2M' in dir(oodseg))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False", "True"]
    from oodseg.pipeline import S2M

    assert oodseg.S2M is S2M
    with pytest.raises(AttributeError, match="nonsense"):
        oodseg.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["predict", ""], "one of the arguments"),
        (["predict", "a.jpg", "--out", ""], "--out"),
        (["predict", "a.jpg", "--out="], "--out"),
        (["evaluate", "set", "--scores", ""], "--scores"),
    ],
)
def test_an_empty_argument_is_not_the_working_folder(tmp_path, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr == f"{what} is empty: check the variables of your shell\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ConfigError("there is no 'x': choose y"), 2, "there is no 'x': choose y\n"),
        (KeyboardInterrupt(), 130, "interrupted: every file written so far is whole\n"),
        (KeyboardInterrupt("interrupted after 3"), 130, "interrupted after 3\n"),
        (OSError(errno.ENOSPC, "No space"), 2, "the disk is full: free some space"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xx"), 2, "xx: File name too long: choose a sho"),
        (PermissionError(errno.EACCES, "Permission denied", b"x"), 2, "x: Permission denied: check the perm"),
        (OSError(errno.EIO, "Input/output error"), 2, "Input/output error: check the disk"),
        (MemoryError(), 2, "there is not enough memory: take smaller images"),
        (ConfigError("a [bold]name[/bold] in brackets stays"), 2, "a [bold]name[/bold] in brackets stays\n"),
    ],
)
def test_errors_become_one_sentence(monkeypatch, error, code, sentence):
    def failing(*args, **kwargs):
        raise error

    monkeypatch.setattr("oodseg.runs.items.find_images", failing)
    result = CliRunner().invoke(app, ["predict", "x.jpg"])
    assert result.exit_code == code
    assert result.stderr.lstrip("\n").startswith(sentence)  # Rich before 15 ends a bar with a line of its own
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_bugs_are_not_hidden(monkeypatch):
    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("oodseg.runs.items.find_images", failing)
    assert isinstance(CliRunner().invoke(app, ["predict", "x.jpg"]).exception, ZeroDivisionError)


def test_main_exits_with_the_code_of_the_verb(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["oodseg", "predict", "nowhere.jpg"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 2
    assert "nowhere.jpg does not exist" in capsys.readouterr().err


def test_warnings_about_inputs_are_printed_by_every_verb(tmp_path):
    label = np.zeros((24, 32), np.uint8)
    label[4:12, 4:12] = 1
    score = np.random.default_rng(0).normal(size=(24, 32)) - label
    for name in "abcde":
        for folder, pixels in (("labels", label), ("images", np.dstack([label] * 3))):
            path = tmp_path / "set" / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        score[0, 0] = np.nan
        (tmp_path / "scores").mkdir(exist_ok=True)
        np.save(tmp_path / "scores" / f"{name}.npy", score)
    options = [
        "--pipeline",
        "none",
        "--scores",
        f"mine={tmp_path / 'scores'}",
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "set"), *options, "--resamples", "5"])
    assert result.exit_code == 0, result.output
    notes = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert "a.npy: 1 of 768 scores were NaN" in notes[0]
    assert notes[2].endswith("were replaced (and 2 more like it)")
    assert "'mine' are lower on anomalies" in notes[3]
    (record,) = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["datasets"]
    assert len(record["warnings"]) == 6
    assert "(and 2 more like it)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
