import numpy as np
import pytest
import torch

from oodseg.core.build import build, build_segmenter
from oodseg.core.errors import WeightsError
from oodseg.core.parts import Segmenter, describe
from oodseg.segmenters.hub_pixel import DptSegmenter, statistics
from tiny_models import CLASSES

CLASS = {
    "segformer": "SegformerForSemanticSegmentation",
    "upernet": "UperNetForSemanticSegmentation",
    "dpt": "DPTForSemanticSegmentation",
}


def image(rng, height=64, width=64):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def direct(folder, image, model_class):
    """The model's own answer, by way of its own processor."""
    import transformers

    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, do_resize=False, return_tensors="pt")
    model = getattr(transformers, model_class).from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(pixel_values=inputs["pixel_values"]).logits


@pytest.mark.parametrize("family", CLASS)
def test_logits_are_those_of_the_model_called_directly(family, folder_of, rng):
    folder = folder_of(family)
    segmenter = build_segmenter(f"{family}:{folder}")
    pixels = image(rng)
    expected = direct(folder, pixels, CLASS[family])

    found = segmenter.segment(as_tensor(pixels))

    assert isinstance(segmenter, Segmenter)
    assert segmenter.classes == CLASSES
    assert found.queries is None
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


@pytest.mark.parametrize("family", CLASS)
def test_classifier_turns_features_into_logits(family, folder_of, rng):
    segmenter = build_segmenter(f"{family}:{folder_of(family)}")
    found = segmenter.segment(as_tensor(image(rng)))
    classifier = segmenter.network.get_submodule(segmenter.classifier)
    small = classifier(found.features)
    # The families enlarge what their classifier says, each in its way.
    align = family == "dpt"
    expected = torch.nn.functional.interpolate(
        small, found.logits.shape[-2:], mode="bilinear", align_corners=align
    )
    torch.testing.assert_close(found.logits, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", CLASS)
@pytest.mark.parametrize("size", [(64, 128), (75, 101)])
def test_any_size_and_batch(family, size, folder_of):
    segmenter = build_segmenter(f"{family}:{folder_of(family)}")
    images = torch.rand(2, 3, *size)
    found = segmenter.segment(images)
    alone = segmenter.segment(images[1:])
    assert found.logits.shape[:2] == (2, len(CLASSES))
    assert abs(found.logits.shape[-1] / found.logits.shape[-2] - size[1] / size[0]) < 0.15
    torch.testing.assert_close(found.logits[1:], alone.logits, rtol=1e-3, atol=1e-3)


def test_dpt_sees_rows_and_columns_of_a_wide_image(folder_of):
    """Its model takes images for squares; transposing image and answer must be the same but for taste."""
    segmenter = build_segmenter(f"dpt:{folder_of('dpt')}")
    left = torch.zeros(1, 3, 64, 256)
    left[..., :64] = 1
    logits = segmenter.segment(left).logits
    blank = segmenter.segment(torch.zeros(1, 3, 64, 256)).logits
    assert logits.shape[-2:] == (64, 256)
    change = (logits - blank).abs().mean((0, 1, 2))
    assert change[:64].mean() > 3 * change[192:].mean()


def test_dpt_loads_without_weights_that_it_never_uses(folder_of, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = folder_of("dpt")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    idle = [name for name in tensors if name.startswith(DptSegmenter.unused)]
    assert idle
    kept = {name: value for name, value in tensors.items() if name not in idle}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    image = torch.rand(1, 3, 64, 64)
    found, expected = (build_segmenter(f"dpt:{each}").segment(image).logits for each in (tmp_path, folder))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_saving_names_the_folder_and_copies_no_weights(folder_of):
    folder = folder_of("segformer")
    segmenter = build_segmenter(f"segformer:{folder}")
    assert segmenter.config == {"source": str(folder.resolve()), "revision": None}
    assert not segmenter.state_dict()
    assert not list(segmenter.parameters())
    again = build("segmenters", describe(segmenter))
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(segmenter.segment(image).logits, again.segment(image).logits)


def test_network_moves_along(folder_of):
    segmenter = build_segmenter(f"segformer:{folder_of('segformer')}")
    outer = torch.nn.Sequential(segmenter).to(torch.float64)
    assert next(segmenter.network.parameters()).dtype == torch.float64
    assert outer[0].segment(torch.rand(1, 3, 32, 32, dtype=torch.float64)).logits.dtype == torch.float64
    assert not segmenter.network.training
    assert not any(each.requires_grad for each in segmenter.network.parameters())


def test_a_processor_that_turns_colours_round(folder_of):
    segmenter = build_segmenter(f"segformer:{folder_of('segformer')}")
    images = torch.rand(1, 3, 32, 32)
    plain = segmenter.normalized(images)
    segmenter.settings["do_flip_channel_order"] = True
    assert torch.equal(segmenter.normalized(images), plain[:, [2, 1, 0]])


def test_another_familys_folder_is_refused(folder_of):
    with pytest.raises(WeightsError, match="do not fit UperNetForSemanticSegmentation"):
        build_segmenter(f"upernet:{folder_of('segformer')}")


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}, [0.1, 0.2, 0.3], [0.5] * 3),
        # One number for all colours, as transformers allows it.
        ({"image_mean": 0.5, "image_std": [0.25]}, [0.5] * 3, [0.25] * 3),
        ({"do_normalize": False, "image_mean": [0.1] * 3}, [0.0] * 3, [1.0] * 3),
        ({}, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        # Without rescaling, a model sees 0..255.
        ({"do_rescale": False, "do_normalize": False}, [0.0] * 3, [1 / 255] * 3),
        ({"rescale_factor": 2 / 255, "image_mean": [0.5] * 3, "image_std": [1.0] * 3}, [0.25] * 3, [0.5] * 3),
    ],
)
def test_statistics(settings, mean, std):
    found = statistics(settings)
    assert found[0] == pytest.approx(mean)
    assert found[1] == pytest.approx(std)
