import json

import numpy as np
import pytest
import torch

from oodseg.core.build import build_segmenter
from oodseg.core.parts import MaskQueries
from oodseg.segmenters.hub_masks import class_logits
from tiny_models import CLASSES, MEAN, STD

CLASS = {
    "mask2former": "Mask2FormerForUniversalSegmentation",
    "maskformer": "MaskFormerForInstanceSegmentation",
    "oneformer": "OneFormerForUniversalSegmentation",
}


def image(rng, height=64, width=96):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def oneformer_processor(folder, tmp_path):
    """Its whole processor, with a class list of ours where it would fetch one."""
    import transformers

    classes = {str(index): {"isthing": 0, "name": name} for index, name in enumerate(CLASSES)}
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    images = transformers.OneFormerImageProcessor(
        image_mean=MEAN,
        image_std=STD,
        repo_path=str(tmp_path),
        class_info_file="classes.json",
        num_text=2,
        num_labels=len(CLASSES),
    )
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    return transformers.OneFormerProcessor(images, tokenizer, max_seq_length=77, task_seq_length=77)


def direct(family, folder, image, tmp_path):
    """The model's own answer, by way of its own processor."""
    import transformers

    if family == "oneformer":
        processor = oneformer_processor(folder, tmp_path)
        inputs = processor(image, ["semantic"], do_resize=False, return_tensors="pt")
    else:
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        inputs = processor(images=image, do_resize=False, return_tensors="pt")
    inputs = {key: inputs[key] for key in ("pixel_values", "task_inputs") if key in inputs}
    model = getattr(transformers, CLASS[family]).from_pretrained(folder).eval()
    with torch.inference_mode():
        return processor, model(**inputs)


@pytest.mark.parametrize("family", CLASS)
def test_queries_are_those_of_the_model_called_directly(family, folder_of, rng, tmp_path):
    folder, pixels = folder_of(family), image(rng)
    _, expected = direct(family, folder, pixels, tmp_path)
    segmenter = build_segmenter(f"{family}:{folder}")

    found = segmenter.segment(as_tensor(pixels))

    assert segmenter.classes == CLASSES
    assert found.features is None
    torch.testing.assert_close(found.queries.classes, expected.class_queries_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.queries.masks, expected.masks_queries_logits, rtol=1e-4, atol=1e-4)
    assert found.logits.shape == (1, len(CLASSES), 16, 24)


@pytest.mark.parametrize("family", ["maskformer", "oneformer"])
def test_winning_classes_are_those_of_the_processor(family, folder_of, rng, tmp_path):
    folder, pixels = folder_of(family), image(rng)
    processor, answer = direct(family, folder, pixels, tmp_path)
    post = getattr(processor, "image_processor", processor).post_process_semantic_segmentation
    found = build_segmenter(f"{family}:{folder}").segment(as_tensor(pixels))
    expected = torch.stack(list(post(answer)))
    assert len(expected.unique()) > 1
    assert (found.logits.argmax(1) == expected).float().mean() > 0.999


def test_oneformer_listens_to_its_task(folder_of):
    segmenter = build_segmenter(f"oneformer:{folder_of('oneformer')}")
    image = torch.rand(2, 3, 64, 64)
    semantic = segmenter.segment(image).logits
    segmenter.register_buffer("_task", torch.zeros_like(segmenter.get_buffer("_task")), persistent=False)
    assert (segmenter.segment(image).logits - semantic).abs().max() > 1e-4


def test_class_logits_against_plain_loops():
    draw = np.random.default_rng(5)
    classes, masks = draw.normal(0, 2, (2, 3, 5)), draw.normal(0, 3, (2, 3, 4, 6))
    expected = np.zeros((2, 4, 4, 6))
    for b in range(2):
        for q in range(3):
            p = np.exp(classes[b, q]) / np.exp(classes[b, q]).sum()
            for c in range(4):
                expected[b, c] += p[c] / (1 + np.exp(-masks[b, q]))
    found = class_logits(MaskQueries(torch.from_numpy(classes), torch.from_numpy(masks)))
    np.testing.assert_allclose(found.numpy(), np.log(expected), rtol=1e-9)


def test_class_logits_stay_finite_where_no_mask_is():
    queries = MaskQueries(torch.zeros(1, 2, 4), torch.full((1, 2, 3, 3), -1e4))
    logits = class_logits(queries)
    assert torch.isfinite(logits).all()
    assert logits.max() == pytest.approx(np.log(1e-6))


def test_heads_of_mask2former_read_what_the_model_reads(folder_of):
    segmenter = build_segmenter(f"mask2former:{folder_of('mask2former')}")
    images = torch.rand(2, 3, 64, 96)
    expected = segmenter.segment(images).queries
    with torch.no_grad():
        found = segmenter.heads()(*segmenter.before_heads(images))
    torch.testing.assert_close(found.classes, expected.classes)
    torch.testing.assert_close(found.masks, expected.masks)


def test_losses_of_mask2former_are_those_of_the_model(folder_of):
    segmenter = build_segmenter(f"mask2former:{folder_of('mask2former')}")
    queries = segmenter.segment(torch.rand(2, 3, 64, 96)).queries
    masks = [(torch.rand(count, 16, 24) > 0.5).float() for count in (2, 1)]
    classes = [torch.tensor([0, 3]), torch.tensor([1])]
    torch.manual_seed(1)  # for the points at which masks are compared
    expected = segmenter.network.get_loss_dict(queries.masks, queries.classes, masks, classes, None)
    torch.manual_seed(1)
    found = segmenter.mask_losses(queries, masks, classes)
    assert {f"loss_{name}": float(each) for name, each in found.items()} == pytest.approx(
        {name: float(each) for name, each in expected.items()}
    )
