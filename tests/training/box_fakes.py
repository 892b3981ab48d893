"""Stand-ins for prompt generators and for the scenes that they see."""

import numpy as np
import torch

from oodseg.core.parts import BoxPrompts
from oodseg.training.box_quality import Found
from oodseg.training.score_cache import CachedScene
from oodseg.training.score_source import Ordinary


def found(boxes, confidence, truth) -> Found:
    def as_boxes(values):
        return np.array(values, np.float32).reshape(-1, 4)

    return Found(as_boxes(boxes), np.array(confidence, np.float32), as_boxes(truth))


A, B = (0, 0, 10, 10), (20, 20, 60, 60)
SHIFTED = (0, 2, 10, 12)  # IoU 2/3 with A


class Scripted:
    """Answers with the boxes of one scene after another; remembers the features it saw."""

    def __init__(self, answers: list[Found]) -> None:
        self.answers = iter(answers)
        self.seen: list = []

    def candidates(self, scores: torch.Tensor, features=None) -> list[BoxPrompts]:
        self.seen.append(features)
        each = next(self.answers)
        return [BoxPrompts(torch.from_numpy(each.boxes), torch.from_numpy(each.confidence))]


def blank(truth) -> CachedScene:
    return CachedScene(np.zeros((1, 4, 4), np.float16), truth)


def with_features(index: int) -> CachedScene:
    features = (np.full((3, 8, 8), index, np.float16), np.full((5, 4, 4), index, np.float16))
    return CachedScene(numbered(index), np.array([A], np.float32), features)


class Fixed:
    """Gives back what it was told, map after map; the map's first pixel says which."""

    def __init__(self, answers) -> None:
        self.answers = answers

    def candidates(self, scores, features=None):
        boxes, confidence = self.answers[int(scores[0, 0, 0])]
        return [BoxPrompts(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(confidence))]


def numbered(index: int, level: float = 0.0) -> np.ndarray:
    score = np.full((1, 40, 40), level, np.float16)
    score[0, 0, 0] = index
    return score


def street(index: int, level: float = 0.0) -> Ordinary:
    return Ordinary(torch.from_numpy(numbered(index, level)[0].astype(np.float32)))
