import pytest
import torch

from oodseg.prompts.backbones import CompactBackbone
from oodseg.prompts.pyramid import NAMES, Pyramid

CANVAS = torch.rand(1, 1, 64, 128, generator=torch.Generator().manual_seed(1))
FEATURES = [torch.rand(1, 3, 8, 16), torch.rand(1, 5, 4, 8)]


@pytest.mark.parametrize("joined", [[], FEATURES])
@pytest.mark.parametrize("runtime", [None, "torch", "onnxruntime", "openvino"])
def test_levels_are_those_of_the_backbone(runtime, joined, monkeypatch, tmp_path):
    pytest.importorskip("torch" if runtime is None else runtime)
    monkeypatch.setenv("OODSEG_CACHE", str(tmp_path))
    backbone = CompactBackbone((3, 5)).eval()
    pyramid = Pyramid(backbone, (3, 5))
    pyramid.run_on(runtime)
    with torch.inference_mode():
        expected, found = backbone(CANVAS, joined), pyramid(CANVAS, joined)
    assert list(found) == list(expected) == list(NAMES)
    for name in NAMES:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-4)
