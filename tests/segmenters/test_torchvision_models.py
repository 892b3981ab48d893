import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights

from oodseg.core.build import build_segmenter
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.segmenters.torchvision_models import TorchvisionSegmenter
from oodseg.segmenters.wrapped import IMAGENET_MEAN, IMAGENET_STD

LRASPP, DEEPLAB = "lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"


def network(name, classes, **options):
    return get_model(name, weights=None, weights_backbone=None, num_classes=classes, **options).eval()


def direct(net, images):
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        return net((images - mean) / std)["out"]


def test_lraspp_from_a_training_checkpoint(tmp_path):
    net = network(LRASPP, 4)
    torch.save({"model": net.state_dict(), "epoch": 3}, tmp_path / "mine.pth")
    segmenter = TorchvisionSegmenter(LRASPP, str(tmp_path / "mine.pth"), classes=["a", "b", "c", "d"])
    images = torch.rand(2, 3, 50, 70)
    found = segmenter.segment(images)
    torch.testing.assert_close(found.logits, direct(net, images))
    assert found.features is None
    assert segmenter.classes == ("a", "b", "c", "d")
    assert not segmenter.state_dict()
    again = TorchvisionSegmenter(**segmenter.config)
    torch.testing.assert_close(again.segment(images).logits, found.logits)


def test_deeplab_from_safetensors_gives_its_classifiers_input(tmp_path):
    net = network(DEEPLAB, 3, aux_loss=True)
    save_file(net.state_dict(), tmp_path / "mine.safetensors")
    segmenter = TorchvisionSegmenter(DEEPLAB, str(tmp_path / "mine.safetensors"))
    images = torch.rand(1, 3, 64, 80)
    found = segmenter.segment(images)
    torch.testing.assert_close(found.logits, direct(net, images))
    with torch.inference_mode():
        small = net.classifier[4](found.features)
    expected = torch.nn.functional.interpolate(small, (64, 80), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found.logits, expected)
    assert segmenter.classes == ("class 0", "class 1", "class 2")


def test_torchvisions_own_weights_come_from_the_cache_only(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = get_model_weights(LRASPP).DEFAULT
    name = weights.url.rpartition("/")[2]
    with pytest.raises(WeightsError, match=rf"put {weights.url} at .*{name}"):
        build_segmenter(f"torchvision:{LRASPP}")
    (tmp_path / "checkpoints").mkdir()
    torch.save(network(LRASPP, 21).state_dict(), tmp_path / "checkpoints" / name)
    segmenter = build_segmenter(f"torchvision:{LRASPP}")
    assert segmenter.classes == tuple(weights.meta["categories"])
    assert segmenter.classes[:2] == ("__background__", "aeroplane")


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"no segmenter 'resnet50'; choose one of: .*lraspp"):
        TorchvisionSegmenter("resnet50")
    with pytest.raises(WeightsError, match="cannot be read"):
        TorchvisionSegmenter(LRASPP, str(tmp_path / "none.pth"))
    torch.save({"x": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not a state dict of lraspp"):
        TorchvisionSegmenter(LRASPP, str(tmp_path / "other.pth"))
    torch.save(network(LRASPP, 3).state_dict(), tmp_path / "three.pth")
    with pytest.raises(WeightsError, match="does not fit deeplabv3"):
        TorchvisionSegmenter(DEEPLAB, str(tmp_path / "three.pth"))
    with pytest.raises(ConfigError, match="has 3 classes but 2 names"):
        TorchvisionSegmenter(LRASPP, str(tmp_path / "three.pth"), classes=["a", "b"])
