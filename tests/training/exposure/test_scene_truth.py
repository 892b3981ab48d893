import torch

from oodseg.training.exposure.truth import Truth


def test_every_kind_of_pixel():
    labels = torch.tensor([[[3, 255, 255, 255]], [[255, 255, 255, 255]]], dtype=torch.uint8)
    unknown = torch.tensor([[[0, 7, 255, 0]], [[0, 1, 2, 0]]], dtype=torch.uint8)
    truth = Truth.of(labels, unknown, (1, 4))
    assert truth.labels.tolist() == labels.long().tolist()
    assert truth.inlier.tolist() == [[[True, False, False, True]], [[True, False, False, True]]]
    assert truth.outlier.tolist() == [[[False, True, False, False]], [[False, True, True, False]]]
    assert truth.elsewhere.tolist() == [False, True]


def test_at_another_resolution_codes_stay_codes():
    unknown = torch.zeros(1, 8, 8, dtype=torch.uint8)
    unknown[:, :4] = 254
    truth = Truth.of(unknown, unknown, (2, 4))
    assert truth.outlier.tolist() == [[[True] * 4, [False] * 4]]
    assert truth.labels.tolist() == [[[254] * 4, [0] * 4]]


def test_classes_of_the_network_where_one_is_known():
    labels = torch.tensor([[[3, 255]]], dtype=torch.uint8)
    truth = Truth.of(labels, torch.zeros_like(labels), (1, 2))
    logits = torch.zeros(1, 12, 1, 2)
    logits[:, 11] = 1
    assert truth.of_network(logits).labels.tolist() == [[[11, 255]]]
