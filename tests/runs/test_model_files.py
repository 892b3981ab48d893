"""A model that changes where it lies is noticed."""

import pytest

from oodseg.runs.model_files import model_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.safetensors").write_bytes(b"1")
    (tmp_path / "net" / "config.json").write_text("{}")
    return tmp_path / "net"


@pytest.mark.parametrize(
    "spec",
    [
        "segformer:net",
        "segformer:net+energy",
        "everything:mask2former:net",
        {"name": "logit", "segmenter": {"name": "segformer", "source": "net"}, "score": "msp"},
        {"name": "logit", "segmenter": "segformer:net"},
        {"name": "sam", "source": "net", "sizes": [1, 2]},
    ],
)
def test_a_folder_is_found_in_any_spec(folder, spec):
    before = model_files(spec)
    assert list(before) == ["net"]
    assert model_files(spec) == before
    (folder / "model.safetensors").write_bytes(b"2")
    assert model_files(spec) != before


def test_new_and_renamed_files_count(folder):
    before = model_files("sam:net")
    (folder / "config.json").rename(folder / "other.json")
    assert model_files("sam:net") != before


def test_a_file_counts_with_the_weights_beside_it(folder):
    file, data = folder / "net.onnx", folder / "net.onnx.data"
    file.write_bytes(b"1")
    data.write_bytes(b"1")
    spec = f"onnx:{file}+energy"
    before = model_files(spec)
    assert list(before) == [str(file)]
    data.write_bytes(b"2")
    assert model_files(spec) != before


def test_when_a_file_was_written_does_not_matter(folder):
    import os

    before = model_files("sam:net")
    os.utime(folder / "config.json", (1, 1))
    assert model_files("sam:net") == before


def test_names_of_parts_are_no_folders(folder):
    (folder.parent / "box").mkdir()
    assert model_files("box", {"name": "box", "kind": "net"}, None, 3, "net") == {}


def test_what_is_nowhere_is_left_out(folder):
    assert model_files("segformer:elsewhere", "sam:nobody/nothing-at-all") == {}


def test_of_a_hub_model_the_commit_counts(monkeypatch):
    asked = []

    def cached(name, file, revision=None):
        asked.append((name, file, revision))
        return f"/cache/models--{name}/snapshots/abc123/{file}"

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cached)
    assert model_files({"name": "sam", "source": "facebook/sam", "revision": "v2"}) == {
        "facebook/sam": "abc123"
    }
    assert asked == [("facebook/sam", "config.json", "v2")]
