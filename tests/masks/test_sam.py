"""Every family of promptable models, tiny and random, against transformers' own path."""

from functools import cache
from importlib.metadata import version

import numpy as np
import pytest
import torch
from packaging.version import Version
from tiny_sam import save_tiny

from oodseg.core.devices import full_precision
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.core.registry import resolve
from oodseg.masks import MASKS, sam
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from redness import Redness, street

pytest.importorskip("transformers")
pytest.importorskip("timm")

# Before 5.20, transformers asks the hub for a configuration whenever it makes one of EdgeTAM.
_OLD = Version(version("transformers")) < Version("5.20")
_OLDER = Version(version("transformers")).major < 5
EDGETAM = pytest.param("edgetam", marks=pytest.mark.skipif(_OLD, reason="transformers 5.20 or later"))
SAM3 = pytest.param("sam3", marks=pytest.mark.skipif(_OLDER, reason="transformers 5.0 or later"))
FAMILIES = ["sam", "sam_hq", "sam2", EDGETAM, SAM3]
MODELS = {
    "sam": ("SamModel", "SamProcessor"),
    "sam_hq": ("SamHQModel", "SamHQProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "edgetam": ("EdgeTamModel", "Sam2Processor"),
    "sam3": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
}
BOXES = torch.tensor(
    [
        [20.0, 12.0, 60.0, 50.0],
        [0.0, 0.0, 150.0, 70.0],  # all of the wide image
        [100.3, 20.7, 149.9, 69.5],  # at the border
        [31.0, 30.0, 31.5, 30.5],  # half a pixel
        [3.0, 40.0, 70.0, 69.0],
    ]
)


@pytest.fixture(autouse=True)
def _float32():
    with full_precision():
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """One folder a family, written when first asked for."""
    made = {}

    def folder(family):
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            save_tiny(family, made[family])
        return str(made[family])

    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def segmenter(request, folders):
    return resolve(MASKS, "masks", request.param)(folders(request.param))


def image(height=70, width=150, seed=0):
    """Blobs of colour in bytes."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, 6, 9), dtype=np.float32))
    large = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0]
    return (large.clamp(0, 1) * 255).round() / 255


@cache
def library_model(family, folder):
    import transformers

    model_name, processor_name = MODELS[family]
    model = getattr(transformers, model_name).from_pretrained(folder).eval()
    return model, getattr(transformers, processor_name).from_pretrained(folder)


def library_masks(family, folder, image, boxes):
    """What the documentation of transformers tells its users to do."""
    model, processor = library_model(family, folder)
    array = (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    inputs = processor(images=array, input_boxes=[boxes.tolist()], return_tensors="pt")
    sizes = [inputs["original_sizes"]]
    if family in {"sam", "sam_hq"} and "reshaped_input_sizes" in inputs:
        sizes.append(inputs["reshaped_input_sizes"])
    # SAM's processor computes boxes in float64.
    inputs["input_boxes"] = inputs["input_boxes"].float()
    with torch.no_grad():
        found = model(
            pixel_values=inputs["pixel_values"], input_boxes=inputs["input_boxes"], multimask_output=False
        )
    return processor.post_process_masks(found.pred_masks, *sizes)[0][:, 0]


# Images larger than the input are reduced with antialiasing, as the processor does.
@pytest.mark.parametrize(("height", "width"), [(70, 150), (150, 70), (64, 64), (40, 30)])
def test_equals_the_family_through_its_own_processor(segmenter, folders, height, width):
    pixels = image(height, width)
    boxes = BOXES * torch.tensor([width / 150, height / 70]).repeat(2)
    masks = segmenter.segment(segmenter.embed(pixels), boxes)
    expected = library_masks(segmenter.name, folders(segmenter.name), pixels, boxes)
    assert masks.dtype == torch.bool
    assert masks.shape == expected.shape == (len(boxes), height, width)
    assert (masks == expected).float().mean() >= 0.999
    assert 0.1 < expected.float().mean() < 0.9  # else agreement would say nothing


def test_looks_once_and_decodes_boxes_alike_in_any_batch(segmenter, monkeypatch):
    calls = {"encoder": 0, "decoder": 0}

    def count(name):
        return lambda *_: calls.__setitem__(name, calls[name] + 1)

    hooks = [
        segmenter.model.vision_encoder.register_forward_pre_hook(count("encoder")),
        segmenter.model.mask_decoder.register_forward_pre_hook(count("decoder")),
    ]
    embedding = segmenter.embed(image())
    together = segmenter.segment(embedding, BOXES)
    assert calls == {"encoder": 1, "decoder": 1}
    single = torch.cat([segmenter.segment(embedding, box[None]) for box in BOXES])
    # Room for two boxes a batch, then for less than one.
    need = 10 * embedding.side**2 + 70 * 150 + embedding.side**2
    monkeypatch.setattr(sam, "_FLOATS_ON_CPU", 2 * need)
    calls["decoder"] = 0
    pairs = segmenter.segment(embedding, BOXES)
    assert calls == {"encoder": 1, "decoder": 3}
    monkeypatch.setattr(sam, "_FLOATS_ON_CPU", 1)
    calls["decoder"] = 0
    ones = segmenter.segment(embedding, BOXES)
    assert calls == {"encoder": 1, "decoder": len(BOXES)}
    for hook in hooks:
        hook.remove()
    for other in (single, pairs, ones):
        assert (other == together).float().mean() >= 0.9999


def test_masks_depend_on_image_and_box(segmenter):
    one, other = segmenter.embed(image(seed=0)), segmenter.embed(image(seed=1))
    masks = segmenter.segment(one, BOXES)
    assert not torch.equal(masks, segmenter.segment(other, BOXES))
    assert not torch.equal(masks[0], masks[2])


def test_no_box_no_mask(segmenter):
    masks = segmenter.segment(segmenter.embed(image(40, 50)), torch.zeros(0, 4))
    assert masks.shape == (0, 40, 50)
    assert masks.dtype == torch.bool


def test_scores_change_nothing(segmenter):
    embedding = segmenter.embed(image())
    with_scores = segmenter.segment(embedding, BOXES, torch.rand(35, 75))
    assert torch.equal(with_scores, segmenter.segment(embedding, BOXES))


def test_rebuilt_from_its_config(segmenter):
    again = type(segmenter)(**segmenter.config)
    masks = again.segment(again.embed(image()), BOXES)
    assert torch.equal(masks, segmenter.segment(segmenter.embed(image()), BOXES))
    assert resolve(MASKS, "masks", segmenter.name) is type(segmenter)


@pytest.mark.parametrize("family", ["sam2", EDGETAM])
def test_another_input_size_is_that_of_a_model_configured_so(family, folders, tmp_path):
    import json
    import shutil

    folder = tmp_path / "large"
    shutil.copytree(folders(family), folder)
    config = json.loads((folder / "config.json").read_text())
    config["prompt_encoder_config"]["image_size"] = 128
    config["vision_config"]["backbone_feature_sizes"] = [[32, 32], [16, 16], [8, 8]]
    (folder / "config.json").write_text(json.dumps(config))
    # Before 5.0 the image processor has a file of its own.
    for path in folder.glob("*processor_config.json"):
        settings = json.loads(path.read_text())
        settings.get("image_processor", settings)["size"] = {"height": 128, "width": 128}
        settings["target_size"] = 128
        path.write_text(json.dumps(settings))

    kind = resolve(MASKS, "masks", family)
    resized = kind(folders(family), size=128)
    assert resized.config["size"] == 128
    embedding = resized.embed(image())
    assert embedding.side == 128
    masks = resized.segment(embedding, BOXES)
    assert (masks == library_masks(family, str(folder), image(), BOXES)).float().mean() >= 0.999
    unchanged = kind(folders(family))
    assert not torch.equal(masks, unchanged.segment(unchanged.embed(image()), BOXES))


@pytest.mark.parametrize("size", [0, 48, 500])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ConfigError, match=f"edgetam: size must be a multiple of 32, at least 64, got {size}"):
        resolve(MASKS, "masks", "edgetam")("nowhere", size=size)


def test_another_family_is_refused(folders):
    with pytest.raises(WeightsError, match="family"):
        resolve(MASKS, "masks", "sam")(folders("sam2"))


@pytest.mark.parametrize("family", ["sam_hq", "sam2", "edgetam", "sam3"])
def test_original_files_are_for_sam_only(family, tmp_path):
    with pytest.raises(ConfigError, match=f"{family} cannot read the checkpoint file .*model.pth"):
        resolve(MASKS, "masks", family)(str(tmp_path / "model.pth"))


def test_bfloat16_gives_nearly_the_same_features(folders, monkeypatch):
    from oodseg.core import devices

    segmenter = resolve(MASKS, "masks", "sam")(folders("sam"))
    exact = segmenter.embed(image()).features["image_embeddings"]
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    token = devices._precision.set("auto")
    try:
        fast = segmenter.embed(image()).features["image_embeddings"]
    finally:
        devices._precision.reset(token)
    assert fast.dtype == torch.float32
    assert not torch.equal(fast, exact)
    assert torch.nn.functional.cosine_similarity(fast.flatten(), exact.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("family", ["sam", "sam2"])
def test_through_a_pipeline_and_saved_by_its_source(family, folders, tmp_path, monkeypatch):
    import redness

    redness.register(monkeypatch)
    masks = resolve(MASKS, "masks", family)(folders(family))
    s2m = S2M(Redness(), ComponentPrompts(min_area=20), masks, working_side=(128, 128))
    image = street((20, 20, 50, 60), (80, 30, 110, 80))
    prediction = s2m(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    boxes = torch.tensor([[20.0, 20, 50, 60], [80.0, 30, 110, 80]])
    expected = masks.segment(masks.embed(tensor), boxes).any(0).numpy()
    assert (prediction.mask == expected).mean() > 0.999
    s2m.save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("masks*"))  # the model stays where it is
    assert np.array_equal(S2M.from_pretrained(tmp_path / "saved")(image).mask, prediction.mask)
