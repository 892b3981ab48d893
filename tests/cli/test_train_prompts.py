from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tiny_segmenter
from oodseg import S2M
from oodseg.cli.train import train_app
from oodseg.core.errors import ConfigError
from oodseg.core.normalization import ScoreNormalizer
from training_data import make_training_data

TINY = ["sizes=[[64, 96]]", "zoomed_sizes=[]", "scenes=8", "val_scenes=8", "max_steps=1", "batch_size=2",
        "val_every_steps=1", "workers=0", "precision=32-true", "seed=3"]  # fmt: skip


def run(*arguments):
    done = CliRunner().invoke(train_app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def prompts(data, out, *arguments):
    changes = [part for value in TINY for part in ("--set", value)]
    return run("prompts", "--data", data, "--out", out, *changes, *arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def test_any_detector_is_fitted_learned_on_and_bundled(data, tmp_path, monkeypatch) -> None:
    tiny_segmenter.register(monkeypatch)
    out = tmp_path / "run"
    assert f"wrote {out / 'prompts.safetensors'}" in prompts(data, out, "--detector", "tiny+energy")
    parts = ["--detector", out / "detector", "--prompts", out, "--masks", "box"]
    run("bundle", *parts, "--out", tmp_path / "mine")
    s2m = S2M.from_pretrained(tmp_path / "mine")
    assert (s2m.detector.name, s2m.detector.rule.name) == ("logit", "energy")
    assert s2m.detector.fitted
    assert s2m.prompts.scale is None
    assert s2m.prompts.features == ()
    assert s2m(np.zeros((96, 128, 3), np.uint8)).mask.shape == (96, 128)


def test_score_maps_made_elsewhere(data, red, tmp_path) -> None:
    out, images, maps = tmp_path / "run", tmp_path / "images", tmp_path / "maps"
    assert f"wrote {images}" in prompts(data, out, "--write-scenes", images)
    assert not (out / "prompts.safetensors").exists()
    for path in images.rglob("*.png"):
        pixels = np.asarray(Image.open(path), np.float32)
        target = (maps / path.relative_to(images)).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, 7 + pixels[..., 0] - pixels[..., 2])
    prompts(data, out, "--score-maps", maps)
    parts = ["--detector", red, "--prompts", out, "--masks", "box"]
    run("bundle", *parts, "--out", tmp_path / "mine")
    s2m = S2M.from_pretrained(tmp_path / "mine", detector=None)
    assert isinstance(s2m.prompts.scale, ScoreNormalizer)
    # A score map is normalised as those were that the generator learned on, whatever else is said.
    image, raw = np.zeros((96, 128, 3), np.uint8), np.full((96, 128), 7.0, np.float32)
    raw[0, 0] = 8
    found = s2m(image, score_map=raw, score_normalizer=ScoreNormalizer(100.0, 5.0))
    assert float(np.median(found.score)) == pytest.approx(
        (7 - s2m.prompts.scale.mean) / s2m.prompts.scale.std, abs=1e-3
    )


@pytest.mark.parametrize("chosen", [
    (), ("--detector", "street", "--score-maps", "maps"), ("--score-maps", "maps", "--write-scenes", "to"),
])  # fmt: skip
def test_one_source_of_scores_is_named(chosen) -> None:
    with pytest.raises(ConfigError, match="give one of --detector, --score-maps and --write-scenes"):
        prompts(Path("data"), Path("run"), *chosen)
