"""The grammar: words, YAML, JSON and mappings to one form."""

import json
from pathlib import Path

import pytest
import yaml

from oodseg.core import spec as specs
from oodseg.core.errors import ConfigError


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("room", "word", "mapping"),
    [
        ("masks", "grabcut", {"name": "grabcut"}),
        ("masks", "sam:facebook/sam", {"name": "sam", "source": "facebook/sam"}),
        ("masks", "everything:mask2former:ID", {"name": "everything", "source": "mask2former:ID"}),
        ("prompts", "detectron2:a/b.pth", {"name": "detectron2", "source": "a/b.pth"}),
        ("segmenters", "street", {"name": "street"}),
        ("segmenters", "segformer:a+b", {"name": "segformer", "source": "a+b"}),
        ("scores", "energy", {"name": "energy"}),
        ("failures", "synthcp:runs/x", {"name": "synthcp", "source": "runs/x"}),
        ("detectors", "street", {"name": "street"}),
        ("detectors", "street:my_pipeline", {"name": "street", "source": "my_pipeline"}),
        ("detectors", "synthcp:runs/x+y", {"name": "synthcp", "source": "runs/x+y"}),
        (
            "detectors",
            "street+sml",
            {"name": "logit", "segmenter": {"name": "street"}, "score": {"name": "sml"}},
        ),
        ("detectors", "segformer:ID", {"name": "logit", "segmenter": {"name": "segformer", "source": "ID"}}),
        (
            "detectors",
            "segformer:ID+msp",
            {"name": "logit", "segmenter": {"name": "segformer", "source": "ID"}, "score": {"name": "msp"}},
        ),
    ],
)
def test_a_word_is_short_for_a_mapping_in_whatever_form(tmp_path, room, word, mapping):
    assert specs.parse(room, word) == mapping
    assert specs.parse(room, mapping) == mapping
    assert specs.parse(room, write(tmp_path / "part.yaml", yaml.safe_dump(mapping))) == mapping
    assert specs.parse(room, write(tmp_path / "part.json", json.dumps(mapping))) == mapping
    assert specs.parse(room, tmp_path / "part.json") == mapping


def test_what_is_parsed_is_a_copy():
    given = {"name": "grabcut"}
    specs.parse("masks", given)["longest"] = 3
    assert given == {"name": "grabcut"}


@pytest.mark.parametrize("spec", [{"source": "x"}, {"name": 3}, {"segmenter": "street", "score": "msp"}])
def test_a_mapping_has_a_name(spec):
    with pytest.raises(ConfigError, match="one of the masks has no name: write `name:` and one of: box"):
        specs.parse("masks", spec)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "holds no mapping"),
        ("a: [1\n", "cannot be read as YAML"),
        ("1: 2\n", "holds no mapping"),
        ("name: a\nname: b\n", "'name' stands there twice"),
        ("name: a\nscore: {name: b, name: c}\n", "'name' stands there twice"),
        ("name:\tb\n\tscore: c\n", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.getpid []\n", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
    ],
)
def test_faulty_files(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        specs.read_spec(write(tmp_path / "bad.yaml", text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml does not exist: check the path"):
        specs.read_spec(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"folder.yaml cannot be opened"):
        specs.read_spec(tmp_path / "folder.yaml")


def test_files_as_other_systems_write_them(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: a\r\nscore: b\r\n")
    assert specs.read_spec(tmp_path / "a.yaml") == {"name": "a", "score": "b"}


@pytest.mark.parametrize("text", ["pipeline: yes\n", "runtime: 3\n", "pipeline:\n"])
def test_names_of_a_pipeline_file_are_texts(tmp_path, text):
    with pytest.raises(ConfigError, match=r"all.yaml has .* as (pipeline|runtime): write a name"):
        specs.read_pipeline(Path(write(tmp_path / "all.yaml", text)))


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
