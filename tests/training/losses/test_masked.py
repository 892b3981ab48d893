import torch

from oodseg.training.losses.masked import class_loss, mean_where


def test_mean_of_some():
    values = torch.tensor([1.0, torch.inf, 5.0, torch.nan], requires_grad=True)
    found = mean_where(values, torch.tensor([True, False, True, False]))
    assert float(found.detach()) == 3
    found.backward()
    assert values.grad.tolist() == [0.5, 0, 0.5, 0]


@torch.no_grad()
def test_mean_of_none_is_zero():
    assert float(mean_where(torch.ones(3), torch.zeros(3, dtype=torch.bool))) == 0


@torch.no_grad()
def test_outliers_and_void_have_no_class_loss(pixels):
    sharp = 50 * torch.nn.functional.one_hot(pixels.labels.where(pixels.labels < 255, 0), 3)
    logits = sharp.movedim(-1, 1).double()
    assert float(class_loss(logits, pixels.labels, pixels.outlier)) < 1e-12
    wrong = pixels.labels.clone()
    wrong[pixels.outlier] = 1  # a label on an outlier does not count
    assert float(class_loss(logits, wrong, pixels.outlier)) < 1e-12
