"""The shipped pipeline on every runtime, on drawn scenes."""

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from oodseg import S2M
from oodseg.core.devices import full_precision
from oodseg.io.images import resize
from oodseg.nn.runner import RuntimeFallback
from oodseg.synth.drawn import draw_scene

# Share of an image's pixels in which masks may differ.
LARGEST = 0.01


@pytest.fixture(scope="module")
def scenes():
    found = [draw_scene(np.random.default_rng(seed), (180, 320), 3).image for seed in (1, 4)]
    return [resize(found[0], 360, 640), resize(found[1], 720, 1280)]


@pytest.fixture(scope="module")
def plain(scenes):
    """What the networks find as they are, in float32."""
    s2m = S2M.from_pretrained("street")
    for part in (s2m.detector, s2m.prompts, s2m.masks):
        part.run_on(None)
    with full_precision():
        return [s2m(image) for image in scenes]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_masks_differ_by_less_than_a_hundredth_of_the_pixels(
    runtime, exact, scenes, plain, monkeypatch, tmp_path_factory
):
    pytest.importorskip(runtime)
    monkeypatch.setenv("OODSEG_CACHE", str(tmp_path_factory.getbasetemp() / "graphs"))
    s2m = S2M.from_pretrained("street", runtime=runtime)
    for image, expected in zip(scenes, plain, strict=True):
        with warnings.catch_warnings(), monkeypatch.context() as patch:
            warnings.simplefilter("error", RuntimeFallback)
            if exact:
                patch.setattr("oodseg.core.devices.has_fast_bfloat16", lambda device: False)
            found = s2m(image)
        assert (found.mask != expected.mask).mean() < LARGEST
        assert found.objects
        if exact:  # in 16 bits a confidence may fall to the other side of the operating point
            assert len(found.objects) == len(expected.objects)
        np.testing.assert_allclose(found.score, expected.score, atol=1e-3 if exact else 1.5)


def test_folded_networks_are_saved_as_they_were(scenes, tmp_path):
    s2m = S2M.from_pretrained("street")
    s2m.save_pretrained(tmp_path / "before")
    s2m(scenes[0])
    s2m.save_pretrained(tmp_path / "after")
    names = sorted(each.name for each in (tmp_path / "before").glob("*.safetensors"))
    assert names == ["detector.safetensors", "masks.safetensors", "prompts.safetensors"]
    for name in names:
        before, after = (load_file(tmp_path / folder / name) for folder in ("before", "after"))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
