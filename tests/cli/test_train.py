import re
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from oodseg.cli.train import train_app
from oodseg.core.errors import ConfigError, MissingDependencyError, OodsegError, WeightsError
from oodseg.training.engine.trained import load_trained
from training_data import make_training_data

TINY = ["sizes=[[64, 96]]", "backbone=null", "widths=[4, 6, 8, 8, 8]", "depths=[1, 1, 1, 1]",
        "max_steps=1", "batch_size=2", "precision=32-true",
        "workers=0", "val_scenes=24", "val_every_steps=1"]  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(train_app, [str(each) for each in arguments], catch_exceptions=False)


def changes(values):
    return [part for value in values for part in ("--set", value)]


@pytest.mark.parametrize(("verb", "recipes"), [
    ("segmenter", {"segmenter"}), ("detector", {"detector"}), ("masks", {"masks"}),
    ("prompts", {"prompts", "prompts_resnet50"}),
])  # fmt: skip
def test_help_lists_the_shipped_recipes(verb, recipes) -> None:
    shown = CliRunner().invoke(train_app, [verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    listed = re.search(r"Shipped recipe \(([^)]*)\)", " ".join(shown.output.split()))
    assert recipes <= set(listed[1].split(", "))


@pytest.mark.parametrize("verb", ["segmenter", "prompts", "masks"])
def test_a_printed_recipe_can_be_used_again(verb, tmp_path) -> None:
    printed = run(verb, "--print-recipe", "--set", "seed=7", "--set", "learning_rate=1e-3").output
    assert yaml.safe_load(printed)["seed"] == 7
    mine = tmp_path / "mine.yaml"
    mine.write_text(printed, encoding="utf-8")
    assert run(verb, "--recipe", mine, "--print-recipe").output == printed


def test_entries_inside_entries_can_be_set() -> None:
    printed = run(
        "prompts", "--print-recipe", "--set", "augment.flip=0.25", "--set", "sizes=[[64, 96]]"
    ).output
    recipe = yaml.safe_load(printed)
    assert recipe["augment"]["flip"] == 0.25
    assert recipe["sizes"] == [[64, 96]]


@pytest.mark.parametrize(("arguments", "message"), [
    (["segmenter", "--data", "d", "--out", "o", "--set", "stepz=3"], "stepz=3 names no entry .*max_steps"),
    (["segmenter", "--data", "d", "--out", "o", "--set", "max_steps=0"], "--set max_steps cannot be used"),
    (["masks", "--data", "d", "--out", "o", "--recipe", "none"], "there is no recipe 'none'"),
    (["masks"], "--data and --out"),
    (["prompts", "--data", "d", "--out", "o"], "--detector"),
    (["detector", "--data", "d", "--out", "o"], "--segmenter"),
    (["detector", "--data", "d", "--out", "o", "--segmenter", "s", "--no-resume"], "say nothing without"),
])  # fmt: skip
def test_bad_arguments_are_one_sentence(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        run(*arguments)


@pytest.mark.parametrize(("arguments", "message"), [
    (["detector", "--segmenter", "RUN", "--data", "d", "--out", "o"], "train segmenter"),
    (["prompts", "--detector", "RUN", "--data", "d", "--out", "o"], "train detector"),
    (["bundle", "--detector", "RUN", "--prompts", "RUN", "--masks", "RUN", "--out", "o"], "train detector"),
])  # fmt: skip
def test_a_run_that_is_not_finished_is_named(arguments, message, tmp_path) -> None:
    with pytest.raises(WeightsError, match=f"{tmp_path} holds no .*{message}"):
        run(*[str(tmp_path) if each == "RUN" else each for each in arguments])


def test_missing_data_is_named(tmp_path) -> None:
    with pytest.raises(OodsegError, match="must hold images/ and labels/"):
        run("segmenter", "--data", tmp_path, "--out", tmp_path / "run")


def test_missing_training_libraries(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("oodseg.training.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(MissingDependencyError, match=r"install .*\[train\]"):
        run("masks", "--print-recipe")


def test_trains_a_segmenter_and_goes_on(tmp_path) -> None:
    data, out = make_training_data(tmp_path / "data"), tmp_path / "run"
    done = run("segmenter", "--data", data, "--out", out, *changes(TINY))
    assert done.exit_code == 0
    assert f"wrote {out / 'segmenter.safetensors'}" in done.output
    run("segmenter", "--data", data, "--out", out, *changes([*TINY, "max_steps=2"]))
    assert torch.load(out / "last.ckpt", weights_only=True)["global_step"] == 2
    run("segmenter", "--data", data, "--out", out, "--no-resume", *changes(TINY))
    assert load_file(out / "segmenter.safetensors")["stem.0.1.num_batches_tracked"].item() == 1


def test_bundle_reaches_the_assembly(tmp_path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr("oodseg.training.assembly.assemble", lambda *arguments: seen.extend(arguments))
    options = ["--detector", "d", "--prompts", "p", "--masks", "m", "--out", tmp_path / "mine", "--bits", "8"]
    assert f"wrote {tmp_path / 'mine'}" in run("bundle", *options).output
    assert seen == ["d", "p", "m", tmp_path / "mine", 8]


def test_a_method_is_taught_beside_any_segmenter(tmp_path) -> None:
    data = make_training_data(tmp_path / "data")
    run("segmenter", "--data", data, "--out", tmp_path / "net", *changes(TINY))
    tiny = ["sizes=[[64, 96]]", "hidden=8", "max_steps=1", "batch_size=2", "workers=0", "val_scenes=4",
            "val_every_steps=1"]  # fmt: skip
    method = ["detector", "--method", "densehybrid", "--data", data, "--out", tmp_path / "run"]
    with pytest.raises(ConfigError, match="densehybrid is trained beside one segmenter: name it with --seg"):
        run(*method, *changes(tiny))
    assert "wrote" in run(*method, *changes(tiny), "--segmenter", tmp_path / "net").output
    detector = load_trained(tmp_path / "run", "detector")
    assert detector.name == "densehybrid"
    assert detector.fitted
    with pytest.raises(ConfigError, match="no method 'pebbal'"):
        run("detector", "--method", "pebbal", "--data", data, "--out", tmp_path)


def test_each_method_has_a_recipe_of_its_own() -> None:
    printed = run("detector", "--method", "rpl", "--print-recipe").output
    assert yaml.safe_load(printed)["contrast"] == 0
    chosen = run("detector", "--method", "rpl", "--recipe", "detector_rpl_corocl", "--print-recipe").output
    assert yaml.safe_load(chosen)["contrast"] == 1
