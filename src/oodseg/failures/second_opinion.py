"""Other networks are asked as well: a judge's error map pooled with how likely they find the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from oodseg.core.devices import half_autocast
from oodseg.core.errors import ConfigError
from oodseg.core.modules import ModulePart
from oodseg.core.parts import Assessment, Judge
from oodseg.failures.detector import check_members, full_logits, label_log_odds
from oodseg.segmenters import Segmenter

_TINY = 1e-6  # nobody is surer than that


class SecondOpinion(ModulePart, Judge):
    """Pools what a judge says of every pixel with what other segmenters of the same classes say.

    The log-odds of being wrong are the mean of the judge's and of one minus the probability that each of the
    others gives the judged class: a logarithmic opinion pool of equal weights (Genest and Zidek, Statistical
    Science 1986), in which nothing is fitted. Labels, qualities and intervals stay the judge's.

    Args:
        judge: The judge, calibrated for its error to be a probability.
        members: The others, at least one, of the same classes in the same order. They cost as much again as
            each of them takes to segment an image.

    Raises:
        ConfigError: No member, or one of other classes.
    """

    name = "second_opinion"
    subparts: ClassVar = {"judge": "failures", "members": "segmenters"}

    def __init__(self, judge: Judge, members: Sequence[Segmenter]) -> None:
        super().__init__()
        self.judge = judge
        self.members = tuple(members)
        self.classes = tuple(judge.classes)
        if not self.members:
            raise ConfigError("a second opinion needs members to ask: name one or more")
        check_members(self.members, self.classes, "the judge")
        # Seen by torch, so that they move along.
        self.networks = nn.ModuleList(each for each in self.members if isinstance(each, nn.Module))
        self.intervals = judge.intervals
        self.structure_intervals = judge.structure_intervals
        self.eval()

    @torch.inference_mode()
    def assess(self, image: Tensor, labels: Tensor | None = None) -> Assessment:
        """See `Judge.assess`; the judge decides whether labels may be handed in."""
        found = self.judge.assess(image, labels)
        judged = torch.from_numpy(found.labels).to(image.device).long()[None]
        judged = judged.clamp(max=len(self.classes) - 1)  # void is left out at the end
        total = torch.from_numpy(found.error).to(image.device).logit(_TINY)
        for member in self.members:
            with half_autocast(image.device):
                segmentation = member.segment(image[None]).float()
            odds = label_log_odds(full_logits(segmentation, (judged.shape[1], judged.shape[2])), judged)[0]
            total = total + odds.sigmoid().logit(_TINY)
        error = (total / (1 + len(self.members))).sigmoid().cpu()
        return replace(found, error=error.masked_fill(torch.from_numpy(found.void), 0.0).numpy())
