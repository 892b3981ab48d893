import numpy as np
import pytest
import torch
import yaml

import redness
import tiny_models
from oodseg.core import spec as specs
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.detectors.logit import LogitDetector
from oodseg.masks.grabcut import GrabCutSegmenter
from oodseg.nn.uncertainty import energy
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.segmenters.tiled import TiledSegmenter


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.save("segformer", tmp_path_factory.mktemp("specs"))


def write(path, text):
    path.write_text(text)
    return str(path)


def test_family_source_and_score(folder):
    detector = specs.build("detector", f"segformer:{folder}+energy")
    assert isinstance(detector, LogitDetector)
    images = torch.rand(1, 3, 64, 64)
    logits = detector.segmenter.segment(images).logits
    expected = torch.nn.functional.interpolate(
        energy(logits)[:, None], (64, 64), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(detector.score(images), expected[:, 0])


@pytest.mark.parametrize("score", ["entropy", "msp", "max_logit"])
def test_scores_differ(folder, score):
    images = torch.rand(1, 3, 64, 64)
    typed = specs.build("detector", f"segformer:{folder}+{score}").score(images)
    default = specs.build("detector", f"segformer:{folder}").score(images)
    assert (typed - default).abs().max() > 1e-3


def test_yaml_gives_the_same_as_the_line(folder, tmp_path):
    images = torch.rand(1, 3, 64, 64)
    typed = specs.build("detector", f"segformer:{folder}+msp").score(images)
    for text in (
        f"segmenter: segformer:{folder}\nscore: msp\n",
        f"segmenter: {{name: segformer, source: {folder}}}\nscore: {{name: msp}}\n",
    ):
        path = write(tmp_path / "detector.yaml", text)
        torch.testing.assert_close(specs.build("detector", path).score(images), typed)


def test_all_options_of_a_detector(folder):
    spec = f"""
    segmenter: segformer:{folder}
    score: {{name: energy, temperature: 2.0}}
    smooth: 1.0
    window: 64
    overlap: 0.5
    scales: [1.0, 1.5]
    """
    detector = specs.build("detector", yaml.safe_load(spec))
    assert isinstance(detector.segmenter, TiledSegmenter)
    assert detector.segmenter.config["scales"] == [1.0, 1.5]
    assert detector.smooth == 1.0
    assert detector.config["score"] == {"name": "energy", "temperature": 2.0}
    assert detector.score(torch.rand(1, 3, 70, 90)).shape == (1, 70, 90)


def test_a_plus_in_a_folders_name(folder, tmp_path):
    copy = tmp_path / "model+energy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert specs.build("detector", f"segformer:{copy}").rule.name == "energy"
    assert specs.build("detector", f"segformer:{copy}+msp").rule.name == "msp"


def test_names_and_objects_go_on_working():
    assert isinstance(specs.build("masks", "grabcut"), GrabCutSegmenter)
    assert isinstance(specs.build("prompts", "components"), ComponentPrompts)
    mine = redness.Redness()
    assert specs.build("detector", mine) is mine


def test_options_of_other_parts(tmp_path):
    path = write(tmp_path / "prompts.yml", "name: components\nmin_area: 7\n")
    assert specs.build("prompts", path).config["min_area"] == 7


@pytest.mark.parametrize(
    ("room", "spec", "words"),
    [
        ("detector", "nothing", "no 'nothing' among the detectors"),
        ("detector", "nothing:there+energy", "no 'nothing' among the segmenters"),
        ("detector", "segformer", "no 'segformer' among the detectors"),
        ("detector", "segformer+energy", "needs a source: write segformer:"),
        ("detector", "segformer:", "needs a source: write segformer:"),
        ("detector", "FOLDER+nothing", "no 'nothing' among the scores"),
        ("detector", {"segmenter": "street", "scor": "msp"}, "no option 'scor'; it takes: segmenter, score"),
        ("detector", {"score": "msp"}, "neither name nor segmenter"),
        ("detector", {"segmenter": {"source": "x"}}, "has no name"),
        (
            "detector",
            {"segmenter": {"name": "onnx", "sorce": "x"}},
            "no option 'sorce'; it takes: source, mean",
        ),
        ("prompts", {"name": "components", "area": 7}, "'components' among the prompts has no option 'area'"),
        ("masks", "grabcut:source", "'grabcut' among the masks has no option 'source'"),
        ("masks", "nothing:source", "no 'nothing' among the masks"),
        ("masks", {"source": "x"}, "has no name"),
    ],
)
def test_faults_are_named(room, spec, words, folder):
    if isinstance(spec, str):
        spec = spec.replace("FOLDER", f"segformer:{folder}")
    with pytest.raises(ConfigError) as caught:
        specs.build(room, spec)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "holds no mapping"),
        ("a: [1\n", "cannot be read as YAML"),
        ("1: 2\n", "holds no mapping"),
    ],
)
def test_faulty_files(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        specs.read_spec(write(tmp_path / "bad.yaml", text))


def test_missing_files_and_models(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        specs.build("detector", str(tmp_path / "none.yaml"))
    with pytest.raises(WeightsError, match="there is no folder"):
        specs.build("detector", f"segformer:{tmp_path / 'none'}+energy")


def test_pipeline_file(tmp_path):
    part = write(tmp_path / "prompts.yaml", "name: components\n")
    path = tmp_path / "all.yaml"
    write(path, f"pipeline: street\nprompts: {part}\nmasks: grabcut\n")
    assert specs.read_pipeline(path) == {
        "pipeline": "street",
        "prompts": {"name": "components"},
        "masks": "grabcut",
    }
    write(path, "mask: grabcut\n")
    with pytest.raises(ConfigError, match="no option 'mask'; it takes: pipeline, detector, prompts, masks"):
        specs.read_pipeline(path)
    with pytest.raises(ConfigError, match=r"must be a \.yaml file"):
        specs.read_pipeline(tmp_path / "all.json")


def test_a_saved_pipelines_own_part_with_other_options(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    red = redness.save_pipeline(tmp_path / "red")
    s2m = S2M.from_pretrained(red, prompts={"name": "components", "min_area": 3})
    assert s2m.prompts.config["min_area"] == 3
    assert S2M.from_pretrained(red).prompts.config["min_area"] == 20
    with pytest.raises(ConfigError, match="no option 'colour'"):
        S2M.from_pretrained(red, prompts={"name": "components", "colour": 3})


def test_a_pipeline_around_a_hub_model_is_saved_without_its_weights(folder, tmp_path, monkeypatch):
    redness.register(monkeypatch)
    red = redness.save_pipeline(tmp_path / "red")
    s2m = S2M.from_pretrained(red, detector=f"segformer:{folder}+msp", masks="grabcut")
    image = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    s2m.detector.fit([torch.rand(1, 3, 64, 96)])
    s2m.save_pretrained(tmp_path / "mine")
    assert not (tmp_path / "mine" / "detector.safetensors").exists()
    again = S2M.from_pretrained(tmp_path / "mine")
    assert again.detector.normalizer == s2m.detector.normalizer
    np.testing.assert_allclose(again(image).score, s2m(image).score, rtol=1e-5)


def test_the_street_network_with_another_score():
    detector = specs.build("detector", "street+entropy")
    assert detector.segmenter.name == "street"
    assert sum(each.abs().sum() for each in detector.segmenter.parameters()) > 0
    whole = S2M.from_pretrained("street").detector
    weight, same = next(detector.segmenter.parameters()), next(whole.network.parameters())
    torch.testing.assert_close(weight, same)
