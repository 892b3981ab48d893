import json
import sys
import types

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from oodseg.core.errors import MissingDependencyError, WeightsError
from oodseg.nn import hub

PERMISSIVE, GATED, NONCOMMERCIAL = (
    "facebook/sam-vit-base",
    "facebook/sam3",
    next(name for name in hub.MODELS if name.startswith("nvidia/")),
)


class Fake:
    """Stands in for a transformers class: present in the cache or not, fetched or not."""

    def __init__(self, cached=False, online=False):
        self.cached, self.online, self.fetched = cached, online, []

    def from_pretrained(self, source, *, local_files_only=False, **options):
        assert options["use_safetensors"] is True
        if local_files_only and not self.cached:
            raise OSError(f"{source} is not in the cache")
        if not local_files_only:
            self.fetched.append(source)
            if not self.online:
                raise OSError("We couldn't connect to the hub.\nTry again.")
        return torch.nn.Linear(1, 1), {"missing_keys": [], "mismatched_keys": []}

    __name__ = "Fake"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.save("segformer", tmp_path_factory.mktemp("hub"))


@pytest.fixture
def copy(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def segformer():
    return hub.transformers().SegformerForSemanticSegmentation


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_mean", "x"),
        ("image_mean", [0.1, 0.2]),
        ("image_std", [0, 0, 0]),
        ("image_std", [0.1, None, 0.1]),
        ("rescale_factor", [1]),
        ("rescale_factor", 0),
    ],
)
def test_image_settings_that_make_no_sense(copy, key, value):
    path = copy / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(WeightsError, match=rf"preprocessor_config.json of {copy} has .* as {key}: copy it"):
        hub.load_image_settings(str(copy))


@pytest.mark.skipif(
    int(pytest.importorskip("transformers").__version__.partition(".")[0]) < 5,
    reason="transformers before 5.0 looks at the names before it changes them",
)
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.module."])
def test_names_that_a_wrapper_has_changed(copy, prefix):
    expected = hub.load_model(segformer(), str(copy)).state_dict()
    stored, file = load_file(copy / "model.safetensors"), copy / "model.safetensors"
    save_file({prefix + name: each for name, each in stored.items()}, file, {"format": "pt"})
    torch.testing.assert_close(hub.load_model(segformer(), str(copy)).state_dict(), expected)


def test_a_folder_loads_for_inference_in_float32(copy):
    model = segformer().from_pretrained(copy).half()
    model.save_pretrained(copy)
    loaded = hub.load_model(segformer(), str(copy))
    assert not loaded.training
    assert {each.dtype for each in loaded.parameters()} == {torch.float32}
    assert not any(each.requires_grad for each in loaded.parameters())


def test_what_the_cache_holds_is_used_whatever_its_licence(capsys):
    for source in (PERMISSIVE, GATED, NONCOMMERCIAL, "somebody/something"):
        fake = Fake(cached=True)
        assert isinstance(hub.load_model(fake, source), torch.nn.Module)
        assert fake.fetched == []
    assert capsys.readouterr().err == ""


def test_permissive_weights_are_fetched_with_a_line(capsys):
    fake = Fake(online=True)
    hub.load_model(fake, PERMISSIVE)
    assert fake.fetched == [PERMISSIVE]
    assert capsys.readouterr().err == f"fetching {PERMISSIVE} from the hub (weights: Apache-2.0)\n"


def test_permissive_weights_without_a_network():
    with pytest.raises(WeightsError, match=f"`hf download {PERMISSIVE}`") as caught:
        hub.load_model(Fake(), PERMISSIVE)
    assert "Apache-2.0" in str(caught.value)
    assert "couldn't connect to the hub)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (NONCOMMERCIAL, ["NVIDIA Source Code License (non-commercial)", f"`hf download {NONCOMMERCIAL}`"]),
        (GATED, ["SAM License", f"`hf download {GATED}`", "hf auth login", f"huggingface.co/{GATED}"]),
        (
            "somebody/something",
            [
                "is neither a folder here nor in the cache",
                "unknown to oodseg",
                "`hf download somebody/something`",
            ],
        ),
    ],
)
def test_other_weights_are_never_fetched(source, words):
    fake = Fake(online=True)
    with pytest.raises(WeightsError) as caught:
        hub.load_model(fake, source)
    assert fake.fetched == []
    for word in words:
        assert word in str(caught.value)


def test_real_class_and_empty_cache(monkeypatch, tmp_path):
    """Without a stand-in: transformers finds nothing locally, and the refusal is ours."""
    with pytest.raises(WeightsError, match="is not on this machine"):
        hub.load_model(segformer(), NONCOMMERCIAL, cache_dir=str(tmp_path))
    with pytest.raises(WeightsError, match="is not on this machine"):
        hub.load_image_settings(NONCOMMERCIAL)


@pytest.mark.parametrize("source", ["./nowhere/at/all", "./nowhere", "../nowhere", "nowhere"])
def test_neither_folder_nor_id(source):
    with pytest.raises(WeightsError, match="there is no folder"):
        hub.load_model(Fake(), source)


@pytest.mark.parametrize(
    ("name", "words"), [("config.json", "holds no config.json"), ("model.safetensors", "cannot be loaded")]
)
def test_missing_files(copy, name, words):
    (copy / name).unlink()
    with pytest.raises(WeightsError, match=words):
        hub.load_model(segformer(), str(copy))


def test_another_family(copy):
    from transformers import Mask2FormerForUniversalSegmentation

    with pytest.raises(WeightsError, match=r"cannot be loaded .*named \(its config.json says 'segformer'\)"):
        hub.load_model(Mask2FormerForUniversalSegmentation, str(copy))


@pytest.mark.parametrize("cut", [0, 7, 300])
def test_damaged_weights(copy, cut):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        hub.load_model(segformer(), str(copy))


def test_pickled_weights_are_not_opened(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="pickled weights"):
        hub.load_model(segformer(), str(copy))


def test_tensors_that_are_missing_are_not_drawn_at_random(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["decode_head.classifier.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"first misfit: decode_head\.classifier\.weight"):
        hub.load_model(segformer(), str(copy))


def test_other_shapes_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    config["decoder_hidden_size"] = 24
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="do not fit SegformerForSemanticSegmentation"):
        hub.load_model(segformer(), str(copy))


def test_image_settings(copy):
    assert hub.load_image_settings(str(copy))["image_mean"] == tiny_models.MEAN
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"holds no preprocessor_config\.json.*fine-tuned from"):
        hub.load_image_settings(str(copy))


def test_the_terminal_stays_clean(folder, capfd):
    from transformers.utils import logging as theirs

    before = theirs.get_verbosity()
    hub.load_model(segformer(), str(folder))
    assert capfd.readouterr() == ("", "")
    assert theirs.get_verbosity() == before


def test_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"install .*\[hub\]"):
        hub.transformers()


@pytest.mark.parametrize(
    ("version", "name"), [("4.57.1", "Sam2ImageProcessorFast"), ("5.17.0", "Sam2ImageProcessor")]
)
def test_image_processors_are_found_by_the_name_of_today(version, name, monkeypatch):
    library = types.SimpleNamespace(__version__=version, **{name: object(), "Sam2Model": object()})
    monkeypatch.setitem(sys.modules, "transformers", library)
    assert hub.library_class("Sam2ImageProcessor") is getattr(library, name)
    assert hub.library_class("Sam2Model") is library.Sam2Model
    with pytest.raises(MissingDependencyError, match=rf"{version} has no Sam3Model.*--upgrade transformers"):
        hub.library_class("Sam3Model")


def test_table_of_models():
    from oodseg.segmenters import SEGMENTERS

    free = ("Apache-2.0", "MIT", "BSD-3-Clause")
    for name, model in hub.MODELS.items():
        assert name == model.id
        assert model.permissive == (model.weights_licence in free and not model.note)
        assert not (model.gated and model.permissive)
        assert model.room in {"segmenters", "masks"}
        if model.room == "segmenters":
            assert model.family in SEGMENTERS
    families = {model.family for model in hub.MODELS.values() if model.room == "segmenters"}
    assert families == set(SEGMENTERS) - {"street", "street_ensemble", "onnx", "tiled", "given"}
