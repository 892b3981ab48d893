"""What names a part becomes that part."""

import json

import numpy as np
import pytest
import torch
import yaml

import redness
import tiny_models
from oodseg.core.build import build
from oodseg.core.bundle import find_bundle
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import describe
from oodseg.detectors.logit import LogitDetector
from oodseg.detectors.scores import energy
from oodseg.masks.grabcut import GrabCutSegmenter
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
    detector = build("detectors", f"segformer:{folder}+energy")
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
    typed = build("detectors", f"segformer:{folder}+{score}").score(images)
    default = build("detectors", f"segformer:{folder}").score(images)
    assert (typed - default).abs().max() > 1e-3


def test_word_yaml_json_and_python_name_the_same_part(folder, tmp_path):
    typed = build("detectors", f"segformer:{folder}+msp")
    mapping = {"name": "logit", "segmenter": f"segformer:{folder}", "score": "msp"}
    whole = {
        "name": "logit",
        "segmenter": {"name": "segformer", "source": str(folder)},
        "score": {"name": "msp"},
    }
    forms = [
        mapping,
        whole,
        describe(typed),
        write(tmp_path / "a.yaml", yaml.safe_dump(mapping)),
        write(tmp_path / "b.yaml", yaml.safe_dump(whole)),
        write(tmp_path / "c.json", json.dumps(whole)),
        write(tmp_path / "d.json", json.dumps(describe(typed))),
    ]
    images = torch.rand(1, 3, 64, 64)
    for form in forms:
        built = build("detectors", form)
        assert describe(built) == describe(typed)
        assert torch.equal(built.score(images), typed.score(images))


def test_all_options_of_a_detector(folder):
    spec = f"""
    name: logit
    segmenter: {{name: tiled, segmenter: "segformer:{folder}", window: 64, overlap: 0.5, scales: [1.0, 1.5]}}
    score: {{name: energy, temperature: 2.0}}
    smooth: 1.0
    normalizer: {{mean: 1.0, std: 2.0}}
    """
    detector = build("detectors", yaml.safe_load(spec))
    assert isinstance(detector.segmenter, TiledSegmenter)
    assert detector.config["segmenter"]["scales"] == [1.0, 1.5]
    assert detector.smooth == 1.0
    assert detector.config["score"] == {"name": "energy", "temperature": 2.0}
    assert (detector.normalizer.mean, detector.normalizer.std) == (1.0, 2.0)
    assert detector.fitted
    assert detector.score(torch.rand(1, 3, 70, 90)).shape == (1, 70, 90)


def test_a_plus_in_a_folders_name(folder, tmp_path):
    copy = tmp_path / "model+energy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert build("detectors", f"segformer:{copy}").rule.name == "energy"
    assert build("detectors", f"segformer:{copy}+msp").rule.name == "msp"


def test_names_and_objects_go_on_working():
    assert isinstance(build("masks", "grabcut"), GrabCutSegmenter)
    assert isinstance(build("prompts", "components"), ComponentPrompts)
    mine = redness.Redness()
    assert build("detectors", mine) is mine


def test_what_keeps_no_contract_is_refused():
    with pytest.raises(ConfigError, match=r"a list is not one of the masks: derive it from .*Segmenter"):
        build("masks", [])
    with pytest.raises(
        ConfigError, match=r"a function is not one of the .* as LogitDetector\(CallableSegmenter"
    ):
        build("detectors", lambda images: images)
    with pytest.raises(ConfigError, match="a Redness is not one of the masks"):
        S2M(None, ComponentPrompts(), redness.Redness())


def test_options_of_other_parts(tmp_path):
    path = write(tmp_path / "prompts.yml", "name: components\nmin_area: 7\n")
    assert build("prompts", path).config["min_area"] == 7


@pytest.mark.parametrize(
    ("room", "spec", "words"),
    [
        ("detectors", "nothing", "no 'nothing' among the detectors"),
        ("detectors", "nothing:there+energy", "no 'nothing' among the segmenters"),
        ("detectors", "segformer", "needs a source: write segformer:"),
        ("detectors", "my.onnx+energy", "a file comes after the name of what reads it, as in onnx:"),
        ("detectors", "weights.PTH", "weights come after the name of the network they belong to, as in"),
        ("detectors", "segformer+energy", "needs a source: write segformer:"),
        ("detectors", "segformer:", "needs a source: write segformer:"),
        ("detectors", "FOLDER+nothing", "no 'nothing' among the scores"),
        (
            "detectors",
            {"name": "logit", "segmenter": "street", "scor": "msp"},
            "no option 'scor'; it takes: s",
        ),
        ("detectors", {"name": "logit", "score": "msp"}, "needs segmenter"),
        ("detectors", {"score": "msp"}, "has no name"),
        ("detectors", {"name": "logit", "segmenter": {"source": "x"}}, "has no name"),
        (
            "detectors",
            {"name": "logit", "segmenter": {"name": "onnx", "sorce": "x"}},
            "no option 'sorce'; it takes: source, mean",
        ),
        (
            "detectors",
            {"name": "logit", "segmenter": "street", "score": {"name": "energy", "temp": 1}},
            "'energy' among the scores has no option 'temp'; it takes: temperature",
        ),
        ("detectors", {"name": "logit", "segmenter": "street", "normalizer": 3}, "written as {mean: NUMBER"),
        ("failures", {"name": "msp", "segmenter": "street", "intervals": {"level": 1}}, "mapping of level"),
        ("prompts", {"name": "components", "area": 7}, "'components' among the prompts has no option 'area'"),
        ("masks", "grabcut:source", "'grabcut' among the masks has no option 'source'"),
        ("masks", "nothing:source", "no 'nothing' among the masks"),
        ("masks", {"source": "x"}, "has no name"),
        ("rooms", "x", "no room 'rooms'"),
    ],
)
def test_faults_are_named(room, spec, words, folder):
    if isinstance(spec, str):
        spec = spec.replace("FOLDER", f"segformer:{folder}")
    with pytest.raises(ConfigError) as caught:
        build(room, spec)
    assert words in str(caught.value)


def test_missing_files_and_models(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml does not exist"):
        build("detectors", str(tmp_path / "none.yaml"))
    with pytest.raises(WeightsError, match="there is no folder"):
        build("detectors", f"segformer:{tmp_path / 'none'}+energy")


LEARNED = [
    ("masks", "compact", "compact:FOLDER of a saved pipeline or one of those that ship (street)"),
    ("masks", {"name": "compact", "size": 64}, "has learned weights"),
    ("prompts", "faster_rcnn", "faster_rcnn:FOLDER"),
    ("prompts", "detectron2", "detectron2:FOLDER"),
    ("segmenters", {"name": "street", "widths": [4, 4, 8, 8, 8]}, "leave out widths"),
    ("failures", "tcp", "'tcp' must be trained first"),
    ("failures", {"name": "direct", "segmenter": "street", "comparator": {"classes": 7}}, "trained first"),
    (
        "detectors",
        {"name": "synthcp", "segmenter": "street", "generator": {"classes": 7}},
        "the generator of 'synthcp' among the detectors has learned weights",
    ),
]


@pytest.mark.parametrize(("room", "spec", "words"), LEARNED)
def test_a_learned_part_is_never_random(room, spec, words):
    with pytest.raises(ConfigError) as caught:
        build(room, spec)
    assert words in str(caught.value)


def test_the_street_network_comes_with_its_weights_however_it_is_named():
    whole = S2M.from_pretrained("street").detector
    expected = whole.network.members[0].state_dict()  # of the two, the first goes by that name
    for spec in (
        "street",
        "street:street",
        {"name": "street"},
        {"name": "street", "source": str(find_bundle("street"))},
    ):
        found = build("segmenters", spec).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    tiled = build("segmenters", {"name": "tiled", "segmenter": {"name": "street"}, "window": 64})
    detector = build("detectors", "street+entropy")
    for each in (tiled.segmenter, detector.segmenter):
        assert all(torch.equal(each.state_dict()[key], expected[key]) for key in expected)


def test_learned_parts_come_out_of_a_pipeline():
    street = S2M.from_pretrained("street")
    masks, prompts = build("masks", "compact:street"), build("prompts", "faster_rcnn:street")
    assert describe(masks) == describe(street.masks)
    key = "head.weight"
    assert torch.equal(masks.state_dict()[key], street.masks.state_dict()[key])
    assert describe(prompts) == describe(street.prompts)
    changed = build("prompts", {"name": "faster_rcnn", "source": "street", "nms": 0.3})
    assert changed.nms == 0.3
    with pytest.raises(ConfigError, match="nms must lie between 0 and 1"):
        build("prompts", {"name": "faster_rcnn", "source": "street", "nms": 3})
    assert describe(build("detectors", "street")) == describe(street.detector)


def test_a_source_that_holds_another_part(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    red = redness.save_pipeline(tmp_path / "red")
    with pytest.raises(ConfigError, match=r"the masks of .*red is no 'compact'"):
        build("masks", f"compact:{red}")
    with pytest.raises(ConfigError, match=r"the detector of .*red holds no 'street' of the segmenters"):
        build("segmenters", f"street:{red}")


def test_judges_are_named_like_everything_else():
    judge = build("failures", {"name": "msp", "segmenter": "street"})
    assert judge.classes == S2M.from_pretrained("street").detector.network.classes
    again = build("failures", "synthcp:street")
    assert again.name == "synthcp"
    assert sum(each.abs().sum() for each in again.parameters()) > 0


def test_a_saved_pipelines_own_part_with_other_options(tmp_path, monkeypatch):
    redness.register(monkeypatch)
    red = redness.save_pipeline(tmp_path / "red")
    s2m = S2M.from_pretrained(red, prompts={"name": "components", "min_area": 3})
    assert s2m.prompts.config["min_area"] == 3
    assert S2M.from_pretrained(red).prompts.config["min_area"] == 20
    with pytest.raises(ConfigError, match="no option 'colour'"):
        S2M.from_pretrained(red, prompts={"name": "components", "colour": 3})
    own = S2M.from_pretrained("street", prompts={"name": "faster_rcnn", "nested": 0.9}).prompts
    assert own.nested == 0.9
    assert torch.equal(
        own.rcnn.rpn.head.cls_logits.weight,
        build("prompts", "faster_rcnn:street").rcnn.rpn.head.cls_logits.weight,
    )


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
