import numpy as np
import pytest
import torch

from oodseg.core.build import build_segmenter
from oodseg.segmenters.hub_masks import class_logits
from tiny_models import CLASSES


def processed(folder, image):
    """Answer by way of transformers' own processor, and that processor."""
    import transformers

    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt")
    model = transformers.EomtForUniversalSegmentation.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(**inputs), processor


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("split", [True, False])
def test_a_image_of_its_size_is_answered_by_the_model_itself(split, folder_of, rng):
    folder = folder_of("eomt", split=split)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    segmenter = build_segmenter(f"eomt:{folder}")
    answer, _ = processed(folder, image)
    found = segmenter.segment(as_tensor(image))
    assert segmenter.classes == CLASSES
    torch.testing.assert_close(found.queries.masks, answer.masks_queries_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.queries.classes, answer.class_queries_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 128), (64, 112), (144, 64)])
def test_windows_are_those_of_the_processor_and_average_where_they_overlap(size, folder_of, rng):
    folder = folder_of("eomt", split=True)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    answer, _ = processed(folder, image)
    windows = answer.masks_queries_logits
    classes = answer.class_queries_logits.softmax(-1)[..., :-1]
    each = torch.einsum("bqc,bqhw->bchw", classes, windows.sigmoid())
    total, count = torch.zeros(len(CLASSES), *size), torch.zeros(size)
    for index, scores in enumerate(each):
        start = index * (max(size) - 64) // (len(each) - 1)
        rows, columns = (start, 0) if size[0] > size[1] else (0, start)
        area = (slice(rows, rows + 64), slice(columns, columns + 64))
        total[:, *area] += scores.repeat_interleave(4, 1).repeat_interleave(4, 2)
        count[area] += 1
    average = (total / count)[:, ::4, ::4]

    found = build_segmenter(f"eomt:{folder}").segment(as_tensor(image))

    assert found.queries.masks.shape == (1, 6 * len(each), size[0] // 4, size[1] // 4)
    torch.testing.assert_close(found.logits.exp()[0], average, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.logits, class_logits(found.queries))


def test_labels_agree_with_the_processor_on_a_smooth_image(folder_of):
    folder = folder_of("eomt", split=True)
    ramp = np.linspace(0, 255, 200)[None, :, None] * np.array([1.0, 0.5, 0.2])
    image = np.broadcast_to(ramp, (100, 200, 3)).astype(np.uint8)
    answer, processor = processed(folder, image)
    labels = processor.post_process_semantic_segmentation(answer, target_sizes=[image.shape[:2]])[0]
    found = build_segmenter(f"eomt:{folder}").segment(as_tensor(image)).logits
    full = torch.nn.functional.interpolate(found, image.shape[:2], mode="bilinear", align_corners=False)
    assert (full.argmax(1)[0] == labels).float().mean() > 0.9


def test_padding_is_cut_off_again(folder_of):
    segmenter = build_segmenter(f"eomt:{folder_of('eomt', split=False)}")
    found = segmenter.segment(torch.rand(2, 3, 48, 96))
    # Scaled to 32x64; its masks have a quarter of that.
    assert found.logits.shape == (2, len(CLASSES), 8, 16)
    assert found.queries.masks.shape == (2, 6, 8, 16)
