import pytest
from typer.testing import CliRunner

import oodseg.export
from oodseg.cli.main import app
from oodseg.export.onnx import ExportedGraph


def test_export_prints_the_graphs_and_how_to_try_them(tmp_path, monkeypatch):
    seen = {}

    def fake(pipeline, folder, precision):
        seen.update(name=pipeline.name, folder=folder, precision=precision)
        folder.mkdir()
        (folder / "manifest.json").write_text('{"agreement": 0.9876}')
        return [ExportedGraph(tmp_path / "detector.onnx", 11_400_000, 2e-6)]

    monkeypatch.setattr(oodseg.export, "export_onnx", fake)
    arguments = ["--format", "onnx", "--precision", "int8", "--out", str(tmp_path / "graphs")]
    result = CliRunner().invoke(app, ["export", *arguments])
    assert result.exit_code == 0
    assert seen == {"name": "street", "folder": tmp_path / "graphs", "precision": "int8"}
    assert "IoU of 0.988" in result.output
    assert "detector.onnx" in result.output
    assert "11.4" in result.output
    assert "onnx_predict.py IMAGE" in result.output


def test_a_part_without_onnx_form_is_one_sentence(tmp_path):
    result = CliRunner().invoke(app, ["export", "--masks", "grabcut", "--out", str(tmp_path / "graphs")])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "'grabcut' has no ONNX form" in " ".join(result.output.split())


def test_an_unknown_format_is_refused(tmp_path):
    assert CliRunner().invoke(app, ["export", "--format", "tflite"]).exit_code == 2


@pytest.mark.parametrize("word", ["onnx_predict.py", "manifest.json"])
def test_help_says_what_is_written(word):
    assert word in CliRunner().invoke(app, ["export", "--help"]).output
