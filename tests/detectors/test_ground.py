import pytest
import torch

from oodseg.detectors.ground import blocks_around


@pytest.mark.parametrize(
    ("marked", "block", "margin", "expected"),
    [
        ([], 4, 0, None),
        ([(0, 0)], 4, 0, (slice(0, 4), slice(0, 4))),
        ([(5, 9)], 4, 0, (slice(4, 8), slice(8, 12))),
        ([(5, 9)], 4, 2, (slice(0, 8), slice(4, 12))),
        ([(3, 1), (8, 13)], 4, 0, (slice(0, 10), slice(0, 14))),
        ([(9, 13)], 4, 4, (slice(4, 10), slice(8, 14))),
        ([(2, 2)], 1, 1, (slice(1, 4), slice(1, 4))),
    ],
)
def test_whole_blocks_around_what_is_marked(marked, block, margin, expected):
    cells = torch.zeros(10, 14, dtype=torch.bool)
    for row, column in marked:
        cells[row, column] = True
    assert blocks_around(cells, block, margin) == expected
