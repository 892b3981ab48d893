"""The shortest training of a method, and what becomes of it."""

import torch

from oodseg import S2M
from oodseg.masks.box import BoxSegmenter
from oodseg.prompts.components import ComponentPrompts
from oodseg.training.engine.trained import load_trained

TINY = {
    "sizes": [(64, 96)],
    "max_steps": 2,
    "batch_size": 2,
    "warmup_steps": 0,
    "workers": 0,
    "val_scenes": 6,
    "val_every_steps": 2,
}


def assert_the_same_in_a_pipeline(run, folder):
    """A trained detector scores as it did once it has gone through a pipeline's folder."""
    detector = load_trained(run, "detector")
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(folder)
    again = S2M.from_pretrained(folder).detector
    image = torch.rand(1, 3, 40, 60)
    torch.testing.assert_close(again.score(image), detector.score(image))
    assert again.normalizer == detector.normalizer
