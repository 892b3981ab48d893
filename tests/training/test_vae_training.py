import numpy as np
import torch

from oodseg.training.vae_alarm import ShapeMaker, VAERecipe, train_vae, vae_loss

TINY = {
    "side": 16, "widths": [4, 8], "latent": 4, "max_steps": 3, "batch_size": 2, "warmup_steps": 0,
    "precision": "32-true", "workers": 0,
}  # fmt: skip


class Square:
    """An image with a square of class 1 in its middle."""

    def read(self):
        labels = np.zeros((20, 30), np.uint8)
        labels[5:15, 10:20] = 1
        return np.zeros((20, 30, 3), np.uint8), labels


def test_label_maps_are_moved_and_stay_label_maps():
    still = VAERecipe(**{**TINY, "shift": 0, "zoom": (1, 1)})
    expected = np.zeros((16, 16), np.uint8)
    expected[4:12, 5:11] = 1
    found = ShapeMaker([Square()], still)(0).numpy()
    assert (found != expected).mean() < 0.04, "but for rounding at the border"
    make = ShapeMaker([Square()], VAERecipe(**TINY))
    areas = {int((make(number) == 1).sum()) for number in range(20)}
    assert len(areas) > 3
    assert torch.equal(make(3), make(3))
    assert set(np.unique(make(5).numpy())) <= {0, 1}


def test_loss_against_numpy():
    torch.manual_seed(0)
    logits, mean, log_variance = torch.randn(2, 3, 4, 4), torch.randn(2, 5), torch.randn(2, 5)
    labels = torch.randint(0, 3, (2, 4, 4))
    labels[0, 0] = 255
    found = vae_loss(logits, mean, log_variance, labels)
    shares = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    dice = []
    for image in range(2):
        known = labels[image].numpy() != 255
        for number in range(3):
            p, y = shares[image, number] * known, labels[image].numpy() == number
            dice.append(2 * (p * y).sum() / ((p**2).sum() + y.sum()))
    assert np.isclose(found["shape"], 1 - np.mean(dice), atol=1e-5)
    m, v = mean.numpy(), log_variance.numpy()
    assert np.isclose(found["prior"], 0.5 * (m**2 + np.exp(v) - v - 1).sum(1).mean(), atol=1e-5)


def test_training_leaves_a_network(tmp_path):
    vae = train_vae(VAERecipe(**TINY), 2, [Square()], tmp_path / "run")
    assert vae.config["latent"] == 4
    assert (tmp_path / "run" / "vae.safetensors").is_file()
    assert (tmp_path / "run" / "metrics.json").is_file()
