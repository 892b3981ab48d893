import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.failures.void import fill_void, void_in


def test_void_is_the_code_255_unless_that_is_a_class():
    labels = torch.tensor([[0, 255], [1, 2]])
    assert void_in(labels, 3).tolist() == [[False, True], [False, False]]
    assert void_in(labels.clamp(max=2), 3) is None
    assert void_in(labels, 256) is None
    with pytest.raises(ConfigError, match="nothing but void"):
        void_in(torch.full((2, 2), 255), 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_void_takes_the_label_of_its_nearest_neighbour(dtype):
    labels = torch.tensor([[3, 255, 255, 255, 4], [255, 255, 255, 255, 255]], dtype=dtype)
    filled = fill_void(labels, labels == 255)
    assert filled.dtype == dtype
    assert filled[:, [0, 1, 3, 4]].tolist() == [[3, 3, 4, 4]] * 2
