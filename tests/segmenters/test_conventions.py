import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.segmenters.conventions import (
    as_segmentation,
    at_size,
    check_absolute,
    check_choice,
    in_batches,
    kind_of,
    layout_of_change,
    nchw,
    output_layout,
)


@pytest.mark.parametrize(
    ("seen", "classes", "expected"),
    [
        ([((64, 96), (19, 16, 24))], None, "NCHW"),
        ([((64, 96), (16, 24, 19))], None, "NHWC"),
        ([((64, 96), (4, 4, 6))], None, "NCHW"),
        ([((64, 96), (2, 3, 2))], None, "NHWC"),
        # As many classes as rows: one size does not tell, two do.
        ([((64, 64), (16, 16, 16))], None, None),
        ([((64, 96), (16, 16, 24)), ((96, 64), (16, 24, 16))], None, "NCHW"),
        ([((512, 512), (128, 128, 19))], None, "NHWC"),
        ([((512, 512), (16, 16, 16))], 16, None),
        ([((512, 512), (15, 16, 16))], 15, "NCHW"),
        # Rows that are half the columns, classes that are half the rows.
        ([((32, 64), (4, 8, 16))], None, None),
        # Rounded up and down at the border.
        ([((65, 97), (19, 17, 25))], None, "NCHW"),
        ([((65, 97), (16, 24, 19))], None, "NHWC"),
        # Networks that bring every image to a square of their own.
        ([((64, 96), (19, 33, 33)), ((96, 64), (19, 33, 33))], None, "NCHW"),
        ([((64, 96), (33, 33, 19))], None, "NHWC"),
        ([((64, 96), (19, 10, 40))], None, None),
        ([((64, 96), (19, 10, 40))], 19, "NCHW"),
        ([((64, 96), (19, 10, 40))], 7, None),
    ],
)
def test_where_the_classes_stand(seen, classes, expected):
    assert output_layout(seen, classes) == expected


def test_a_change_shows_where_the_classes_stand():
    before = torch.randn(4, 8, 16)
    after = before.clone()
    after[:, 4:, 8:] += 1
    assert layout_of_change(before, after) == "NCHW"
    assert layout_of_change(before.permute(1, 2, 0), after.permute(1, 2, 0)) == "NHWC"
    assert layout_of_change(before, before) is None
    assert layout_of_change(before, before + 1) is None


LOGITS = 3 * torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (LOGITS, "logits"),
        (LOGITS.half(), "logits"),
        (-LOGITS.abs(), "logits"),
        (LOGITS.softmax(1), "softmax"),
        (LOGITS.half().softmax(1), "softmax"),
        (LOGITS.bfloat16().softmax(1), "softmax"),
        (LOGITS.log_softmax(1), "log_softmax"),
        (LOGITS.sigmoid(), None),
        (torch.full((1, 4, 2, 2), 0.25), "softmax"),
        (torch.zeros(1, 4, 2, 2), "logits"),
        (LOGITS.argmax(1, keepdim=True).float(), "labels"),
        (torch.nn.functional.one_hot(LOGITS.argmax(1)).permute(0, 3, 1, 2).float(), "one_hot"),
        (torch.full((1, 2, 2, 2), torch.nan), "logits"),
    ],
)
def test_what_a_network_ends_with(values, expected):
    assert kind_of(values) == expected


@pytest.mark.parametrize("gives", ["logits", "softmax", "log_softmax", "sigmoid"])
def test_probabilities_are_those_of_the_logits(gives):
    ended = {
        "logits": LOGITS,
        "softmax": LOGITS.softmax(1),
        "log_softmax": LOGITS.log_softmax(1),
        "sigmoid": LOGITS.sigmoid(),
    }[gives]
    found = as_segmentation(ended, gives)
    torch.testing.assert_close(found.logits.softmax(1), LOGITS.softmax(1), atol=1e-4, rtol=1e-4)
    assert found.relative == ("softmax" in gives)
    if not found.relative:
        torch.testing.assert_close(found.logits, LOGITS, atol=1e-2, rtol=1e-2)


def test_scores_that_need_logits_refuse_what_a_softmax_left():
    check_absolute("energy", as_segmentation(LOGITS, "logits"), ("msp",))
    with pytest.raises(
        ConfigError, match=r"ends in a softmax, and energy needs .* choose one of: msp, entropy"
    ):
        check_absolute("energy", as_segmentation(LOGITS.softmax(1), "softmax"), ("msp", "entropy"))


def test_batches_of_one_size():
    images = torch.arange(5.0)[:, None]
    assert [each.flatten().tolist() for each in in_batches(images, 2)] == [[0, 1], [2, 3], [4, 4]]
    assert in_batches(images, None)[0] is images
    assert [len(each) for each in in_batches(images, 1)] == [1] * 5


def test_small_helpers():
    assert at_size(torch.zeros(1, 3, 5, 7), (None, 9)) == [5, 9]
    assert nchw(torch.zeros(1, 5, 7, 3), "NHWC").shape == (1, 3, 5, 7)
    check_choice("layout", None, ("NCHW",))
    with pytest.raises(ConfigError, match="layout must be one of NCHW, not 'HWC'"):
        check_choice("layout", "HWC", ("NCHW",))
