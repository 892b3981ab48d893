import torch

from oodseg.training.losses.mask_targets import mask_targets


def test_a_mask_for_each_class_without_what_is_unknown():
    labels = torch.tensor([[[0, 2, 2, 255]], [[255, 255, 255, 255]], [[1, 1, 1, 1]]])
    outlier = torch.tensor([[[False, False, True, False]], [[False] * 4], [[True] * 4]])
    masks, classes = mask_targets(labels, outlier)
    assert [each.tolist() for each in classes] == [[0, 2], [], []]
    assert masks[0].tolist() == [[[1, 0, 0, 0]], [[0, 1, 0, 0]]]
    assert [each.shape for each in masks] == [(2, 1, 4), (0, 1, 4), (0, 1, 4)]
