import pytest
import yaml
from typer.testing import CliRunner

from failure_parts import COMPARATOR, GENERATOR
from oodseg.cli.train import train_app
from oodseg.core.errors import ConfigError, WeightsError
from training_data import make_training_data


def run(*arguments):
    return CliRunner().invoke(train_app, [str(each) for each in arguments], catch_exceptions=False)


def as_recipe(path, values):
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    if "segmenter" in plain:
        plain["segmenter"] = {**plain["segmenter"], "size": list(plain["segmenter"]["size"])}
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path


@pytest.mark.parametrize("verb", ["resynthesis", "comparator"])
def test_a_printed_recipe_can_be_used_again(verb, tmp_path) -> None:
    printed = run(verb, "--print-recipe", "--set", "held_out=[sky]").output
    assert yaml.safe_load(printed)["held_out"] == ["sky"]
    mine = tmp_path / "mine.yaml"
    mine.write_text(printed, encoding="utf-8")
    assert run(verb, "--recipe", mine, "--print-recipe").output == printed


def test_generator_then_failure_detectors(tmp_path) -> None:
    data, runs = make_training_data(tmp_path / "data"), tmp_path / "runs"
    made = as_recipe(tmp_path / "generator.yaml", GENERATOR)
    done = run("resynthesis", "--data", data, "--out", runs / "g", "--recipe", made)
    assert f"wrote {runs / 'g' / 'resynthesis.safetensors'}" in done.output
    compared = as_recipe(tmp_path / "comparator.yaml", COMPARATOR)
    done = run("comparator", "--generator", runs / "g", "--segmenter", "street", "--data", data,
               "--out", runs / "c", "--recipe", compared)  # fmt: skip
    assert f"wrote {runs / 'c' / 'detectors'}" in done.output
    assert (runs / "c" / "detectors" / "synthcp" / "config.json").is_file()


def test_errors_are_one_sentence(tmp_path) -> None:
    with pytest.raises(
        WeightsError, match=r"holds no resynthesis\.safetensors: name the folder of a finished"
    ):
        run("comparator", "--generator", tmp_path, "--data", tmp_path, "--out", tmp_path)
    with pytest.raises(ConfigError, match="--data and --out"):
        run("resynthesis")
