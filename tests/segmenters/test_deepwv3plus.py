import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from named_weights import named_weight

from oodseg.core.build import build, build_segmenter
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.parts import describe
from oodseg.segmenters.deepwv3plus import DeepWV3Plus, DeepWV3PlusSegmenter

# At the pixels below, of the network an eighth as wide; the test against the release proves the full one.
ROWS, COLUMNS = [0, 11, 23], [0, 20, 39]
PLAIN = [0.2416995, 0.1685980, -0.1985175]
WITH_RESIDUAL = [0.2046835, 0.2856192, -0.1819092]
ENERGY = [-2.9901893, -3.0011022, -2.9518795]
BLURRED = [-3.0063999, -3.0004261, -2.9715548]


def weights(classes=19, residual=True, prefix=""):
    network = DeepWV3Plus(classes, 8, residual)
    shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    return {prefix + name: named_weight("branch1." + name, shape) for name, shape in shapes.items()}


@pytest.fixture
def images():
    return torch.linspace(0, 1, 3 * 24 * 40).view(1, 3, 24, 40)


@pytest.fixture
def saved(tmp_path):
    def save(what, name="file.pth"):
        torch.save(what, tmp_path / name)
        return str(tmp_path / name)

    return save


def at(logits):
    return logits[0, [0, 7, 18], ROWS, COLUMNS]


def test_with_and_without_the_residual_block(saved, images):
    # As RPL's engine saves it, projection head and all.
    state = weights(prefix="branch1.") | {"branch1.residual_block.proj_head.proj.0.bias": torch.ones(38)}
    path = saved({"model": state, "epoch": 3})
    plain = build_segmenter(f"deepwv3plus:{path}")
    torch.testing.assert_close(at(plain.segment(images).logits), torch.tensor(PLAIN), atol=1e-5, rtol=0)
    both = DeepWV3PlusSegmenter(path, residual=True)
    torch.testing.assert_close(
        at(both.segment(images).logits), torch.tensor(WITH_RESIDUAL), atol=1e-5, rtol=0
    )
    assert plain.classes[0] == "road"
    assert len(plain.classes) == 19
    assert not plain.state_dict()


def test_features_are_what_the_last_layer_sees(saved, images):
    segmenter = DeepWV3PlusSegmenter(saved(weights(residual=False)))
    found = segmenter.segment(images)
    with torch.inference_mode():
        small = segmenter.network.final[-1](found.features)
    assert small.shape[-2:] == (12, 20)
    torch.testing.assert_close(segmenter.classify(found.features), small)
    expected = torch.nn.functional.interpolate(small, (24, 40), mode="bilinear", align_corners=True)
    torch.testing.assert_close(found.logits, expected)


def test_the_published_detector(saved, images):
    path = saved({f"module.{name}": each for name, each in weights(prefix="branch1.").items()})
    detector = build("detectors", f"rpl:{path}")
    score = detector.score(images)
    torch.testing.assert_close(score[0, ROWS, COLUMNS], torch.tensor(BLURRED), atol=1e-5, rtol=0)
    sharp = build("detectors", {"name": "rpl", "source": path, "smooth": 0})
    torch.testing.assert_close(sharp.score(images)[0, ROWS, COLUMNS], torch.tensor(ENERGY), atol=1e-5, rtol=0)
    again = build("detectors", describe(detector))
    torch.testing.assert_close(again.score(images), score)
    with pytest.raises(ConfigError, match="has no option 'hidden'; it takes: smooth"):
        build("detectors", {"name": "rpl", "source": path, "hidden": 8})
    with pytest.raises(ConfigError, match="'densehybrid' has no published checkpoint files"):
        build("detectors", f"densehybrid:{path}")


def test_bfloat16_is_near(saved, images, monkeypatch):
    monkeypatch.setattr("oodseg.core.devices.has_fast_bfloat16", lambda device: True)
    path = saved(weights())
    exact = DeepWV3PlusSegmenter(path).segment(images).logits
    found = DeepWV3PlusSegmenter(path, reduced_precision=True).segment(images).logits
    assert found.dtype == torch.float32
    assert 0 < float((found - exact).abs().max()) < 0.05


@pytest.mark.parametrize("prefix", ["", "module.", "branch1.", "module.branch1."])
def test_nvidias_file_and_its_like(saved, images, prefix):
    state = weights(residual=False, prefix=prefix)
    old = {name: each for name, each in state.items() if not name.endswith("num_batches_tracked")}
    # NVIDIA's trainer saves a numpy figure beside the weights.
    path = saved({"state_dict": old, "epoch": 174, "mean_iu": np.float64(0.83), "command": "train.py"})
    segmenter = DeepWV3PlusSegmenter(path)
    torch.testing.assert_close(at(segmenter.segment(images).logits), torch.tensor(PLAIN), atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match=r"file\.pth has no residual block: give a checkpoint of RPL"):
        build("detectors", f"rpl:{path}")


def test_pebals_abstention_is_left_out(saved, images):
    state = weights(residual=False)
    state["final.6.weight"] = torch.cat([state["final.6.weight"], torch.ones(1, 32, 1, 1)])
    path = saved({"model": state})
    with pytest.raises(
        ConfigError,
        match=r"is of 20 classes, not the 19 of Cityscapes: write pebal:.*file\.pth .*`abstention`",
    ):
        DeepWV3PlusSegmenter(path)
    segmenter = DeepWV3PlusSegmenter(path, abstention=True)
    torch.testing.assert_close(at(segmenter.segment(images).logits), torch.tensor(PLAIN), atol=1e-5, rtol=0)
    again = build_segmenter(describe(segmenter))
    assert again.segment(images).logits.shape == (1, 19, 24, 40)
    detector = build("detectors", {"name": "pebal", "source": path, "smooth": 0})
    expected = -torch.logsumexp(segmenter.segment(images).logits, 1)
    torch.testing.assert_close(detector.score(images), expected)


def test_meta_oods_file(saved, images):
    path = saved({"state_dict": weights(residual=False, prefix="module.")})
    detector = build("detectors", f"meta_ood:{path}")
    p = DeepWV3PlusSegmenter(path).segment(images).logits.softmax(1)
    torch.testing.assert_close(detector.score(images), -(p * p.log()).sum(1) / np.log(19))


def test_classes_of_your_own(saved, images):
    path = saved(weights(3, residual=False))
    segmenter = DeepWV3PlusSegmenter(path, classes=["a", "b", "c"])
    assert segmenter.segment(images).logits.shape == (1, 3, 24, 40)
    assert segmenter.classes == ("a", "b", "c")
    with pytest.raises(ConfigError, match="has 3 classes but 2 names"):
        DeepWV3PlusSegmenter(path, classes=["a", "b"])


def test_what_is_wrong_is_said(saved, tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        DeepWV3PlusSegmenter(str(tmp_path / "none.pth"))
    with pytest.raises(
        WeightsError, match=r"not a checkpoint of DeepLabV3\+ on WideResNet-38 \(it has no convolution mod1"
    ):
        DeepWV3PlusSegmenter(saved({"conv.weight": torch.ones(1)}))
    part = weights(residual=False)
    del part["mod4.block2.convs.conv1.weight"]
    with pytest.raises(WeightsError, match=r"does not fit .*mod4\.block2\.convs\.conv1\.weight"):
        DeepWV3PlusSegmenter(saved(part))


def test_the_word_of_another_method_is_said(saved):
    """A file without abstention has all its classes, however many the word for PEBAL would leave."""
    path = saved(weights(residual=False))
    with pytest.raises(ConfigError, match=r"has 19 logits and PEBAL's 20, the last for abstention: give a"):
        build("detectors", f"pebal:{path}")
    path = saved(weights(11, residual=False))
    with pytest.raises(ConfigError, match=r"is of 11 classes, not the 19 of Cityscapes: name them with"):
        build("detectors", f"meta_ood:{path}")


@pytest.mark.parametrize("name", ["mod1.conv1.weight", "final.6.weight"])
def test_what_has_the_names_and_no_convolutions(saved, name):
    path = saved(weights(residual=False) | {name: torch.tensor(1.0)})
    with pytest.raises(WeightsError, match=f"has no convolution {name}"):
        DeepWV3PlusSegmenter(path)


def test_a_fault_of_many_tensors_is_one_short_sentence(saved):
    part = {name: each for name, each in weights().items() if not name.startswith("mod5.")}
    with pytest.raises(WeightsError, match=r"does not fit .*mod5.* and more\): give a whole") as caught:
        DeepWV3PlusSegmenter(saved(part))
    assert len(str(caught.value)) < 300


def test_two_networks_in_one_file_are_not_mixed(saved):
    state = weights(residual=False)
    path = saved(state | {f"module.{name}": each + 1 for name, each in state.items()})
    with pytest.raises(WeightsError, match=r"holds mod1\.conv1\.weight twice, behind different prefixes"):
        DeepWV3PlusSegmenter(path)


@pytest.mark.slow
def test_against_the_release(tmp_path):
    root = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("OODSEG_SHARED_DATA", root / "shared" / "data")) / "rpl_reference"
    if not (data / "keys.json").is_file():
        pytest.skip("the reference outputs of RPL's release are not at hand (OODSEG_SHARED_DATA)")
    shapes = json.loads((data / "keys.json").read_text())
    state = {name: named_weight(name, shape) for name, shape in shapes.items()}
    path = tmp_path / "rpl.pth"
    torch.save({"model": state}, path)
    del state
    expected = np.load(data / "expected.npz")
    images = torch.from_numpy(expected["picture"]).permute(2, 0, 1)[None].float() / 255
    found = DeepWV3PlusSegmenter(str(path)).segment(images).logits[0, :, ::4, ::4]
    np.testing.assert_allclose(found, expected["logits"], atol=1e-4)
    detector = build("detectors", f"rpl:{path}")
    found = detector.segmenter.segment(images).logits[0, :, ::4, ::4]
    np.testing.assert_allclose(found, expected["residual_logits"], atol=1e-4)
    np.testing.assert_allclose(detector.score(images)[0], expected["energy_blurred"], atol=1e-4)
    detector.smooth = 0.0
    np.testing.assert_allclose(detector.score(images)[0], expected["energy"], atol=1e-4)
