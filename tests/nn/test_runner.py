import copy
import gc
import pickle
import sys
import warnings

import pytest
import torch
from torch import nn

from oodseg.core.devices import full_precision
from oodseg.nn.blocks import conv_norm_relu
from oodseg.nn.engines import ENGINES, largest_difference
from oodseg.nn.graphs import Graph, OneOutput
from oodseg.nn.runner import Runner, RuntimeFallback
from signal_stacks import current


def example():
    return (torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


def runner(runtime="torch", network=None):
    network = network or nn.Sequential(conv_norm_relu(3, 4), conv_norm_relu(4, 2)).eval()
    axes = ("batch", "channels", "rows", "columns")
    found = Runner(network, Graph("tiny", OneOutput(network), {"x": axes}, {"y": axes}), example)
    found.runtime = runtime
    return found


def run(made, image):
    with torch.inference_mode(), full_precision():
        return made(image)[0]


IMAGE = torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(1))


def test_it_computes_what_the_network_does():
    made = runner()
    torch.testing.assert_close(run(made, IMAGE), made.network(IMAGE), atol=1e-5, rtol=1e-5)
    assert any(isinstance(each, nn.BatchNorm2d) for each in made.network.modules()), "that stays as it is"


@pytest.mark.parametrize("change", ["in place", "replaced", "loaded", "statistics"])
def test_it_notices_that_weights_change(change):
    made = runner()
    before = run(made, IMAGE)
    first = made.network[0]
    with torch.no_grad():
        if change == "in place":
            first[0].weight.mul_(2)
        elif change == "replaced":
            first[0] = nn.Conv2d(3, 4, 3, padding=1)
        elif change == "loaded":
            made.network.load_state_dict({k: v + 1 for k, v in made.network.state_dict().items()})
        else:
            first[1].running_mean.add_(0.5)
    after = run(made, IMAGE)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, made.network(IMAGE), atol=1e-5, rtol=1e-5)


def test_gradients_and_training_see_the_network_itself():
    made = runner()
    made(IMAGE)[0].sum().backward()
    assert made.network[0][0].weight.grad is not None
    made.network.train()
    mean = made.network[0][1].running_mean.clone()
    run(made, IMAGE)
    assert not torch.equal(made.network[0][1].running_mean, mean)


def test_without_a_runtime_the_network_runs_as_it_is():
    made = runner(None)
    torch.testing.assert_close(run(made, IMAGE), made.network(IMAGE), rtol=0, atol=0)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_has_weights_of_its_own(again):
    made = runner()
    before = run(made, IMAGE)
    other = again(made)
    with torch.no_grad():
        other.network[0][0].weight.mul_(2)
    assert other.runtime == "torch"
    torch.testing.assert_close(run(made, IMAGE), before, rtol=0, atol=0)
    assert not torch.allclose(run(other, IMAGE), before)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OODSEG_CACHE", str(tmp_path))
    pytest.importorskip("onnx")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_other_runtimes_agree_with_torch_at_any_size(runtime):
    pytest.importorskip(runtime)
    made = runner(runtime)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeFallback)
        for shape in ((1, 3, 12, 16), (3, 3, 9, 21)):
            image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
            torch.testing.assert_close(run(made, image), made.network(image), atol=1e-4, rtol=1e-4)
        kept = run(made, image)
        run(made, image + 1)
        torch.testing.assert_close(kept, made.network(image), atol=1e-4, rtol=1e-4)  # not overwritten
        with torch.no_grad():
            made.network[0][0].weight.mul_(2)
        torch.testing.assert_close(run(made, image), made.network(image), atol=1e-4, rtol=1e-4)


def wrong(graph, model, bfloat16):
    return lambda inputs: (graph.module(*inputs)[0] * 1.5,)


def broken(graph, model, bfloat16):
    raise RuntimeError("no kernel for Conv\nand a stack trace")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("engine", "reason"), [(wrong, r"its outputs differ by 50\.0 %"), (broken, r"no kernel for Conv")]
)
def test_torch_takes_over_where_a_runtime_fails_or_differs(engine, reason, monkeypatch):
    monkeypatch.setitem(ENGINES, "openvino", engine)
    made = runner("openvino")
    with pytest.warns(
        RuntimeFallback, match=rf"openvino cannot run the network 'tiny'.*{reason}\): torch runs"
    ):
        found = run(made, IMAGE)
    torch.testing.assert_close(found, made.network(IMAGE), atol=1e-5, rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        run(made, IMAGE)


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([3.0, 4.5], [3.0, 4.0], 0.1),
        ([3.0, float("nan")], [3.0, 4.0], float("inf")),
        ([1.0], [1.0, 2.0], float("inf")),
    ],
)
def test_differences_are_shares_of_what_is_expected(found, expected, difference):
    assert largest_difference((torch.tensor(found),), (torch.tensor(expected),)) == pytest.approx(difference)


@pytest.mark.usefixtures("cache")
@pytest.mark.filterwarnings("error::oodseg.nn.runner.RuntimeFallback")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_signals_are_handled_on_the_memory_they_were(runtime):
    pytest.importorskip(runtime)
    if not sys.platform.startswith("linux"):
        pytest.skip("signal stacks of other systems are left alone")
    before = current()
    first, second = runner(runtime), runner(runtime)
    for made in (first, second):
        run(made, IMAGE)
        assert current() == before
    # Each one would give back what it found, which the first has freed by then.
    del made, first
    gc.collect()
    del second
    gc.collect()
    assert current() == before
