import pytest
import torch
from torch import nn

from oodseg.nn.graph_cache import exported, fingerprint
from oodseg.nn.graphs import Graph, OneOutput

AXES = ("batch", 3, "rows", "columns")


def graph(stride=1):
    module = OneOutput(nn.Sequential(nn.Conv2d(3, 3, 3, stride, 1), nn.ReLU())).eval()
    return Graph("tiny", module, {"x": AXES}, {"y": AXES})


@pytest.fixture
def cache(monkeypatch, tmp_path):
    pytest.importorskip("onnx")
    monkeypatch.setenv("OODSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


def test_a_network_is_exported_once(cache, monkeypatch):
    made, example = graph(), (torch.rand(1, 3, 8, 8),)
    first = exported(made, made.module, example)
    assert [each.read_bytes() for each in cache.iterdir()] == [first]
    monkeypatch.setattr("oodseg.nn.graph_cache.trace", None)  # not called again
    assert exported(made, made.module, example) == first


def test_where_nothing_can_be_kept_it_is_exported_every_time(cache):
    cache.parent.write_text("no folder")
    made, example = graph(), (torch.rand(1, 3, 8, 8),)
    assert exported(made, made.module, example)
    assert cache.parent.read_text() == "no folder"


def test_weights_structure_and_axes_change_the_fingerprint():
    made = graph()
    found = {fingerprint(made, made.module)}
    with torch.no_grad():
        made.module.network[0].bias.add_(1)
    found.add(fingerprint(made, made.module))
    found.add(fingerprint(Graph("tiny", made.module, {"x": AXES}, {"y": (1, *AXES[1:])}), made.module))
    strided = graph(2)
    strided.module.load_state_dict(made.module.state_dict())
    found.add(fingerprint(strided, strided.module))
    assert len(found) == 4
