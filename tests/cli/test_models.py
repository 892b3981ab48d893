import json

from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.core.known_models import MODELS


def test_table_names_every_model_and_its_licence():
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    for model in MODELS.values():
        assert f"{model.family}:{model.id}" in result.output
    for words in (
        "Apache-2.0",
        "SAM License",
        "non-commercial",
        "AGPL-3.0",
        "hf download",
        "fetched on first use",
    ):
        assert words in result.output


def test_json():
    result = CliRunner().invoke(app, ["models", "--json"])
    listed = json.loads(result.output)
    assert [each["id"] for each in listed] == list(MODELS)
    assert {"room", "family", "weights_licence", "code_licence", "permissive", "gated"} <= set(listed[0])
