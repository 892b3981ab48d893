"""Several street networks as one: what one of them has not learned well, another may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from oodseg.core.errors import ConfigError
from oodseg.segmenters.street import StreetNet


class StreetEnsemble(StreetNet):
    """The mean of the logits of street networks, a deep ensemble (Lakshminarayanan et al., NeurIPS 2017).

    The encoder and the features that it shows are those of the first member, so that what was trained on
    these fits the ensemble too.

    Args:
        members: At least two networks of the same classes, all with an objectness head or none.

    Raises:
        ConfigError: Fewer members, or members that do not fit together.
    """

    name = "street_ensemble"
    subparts: ClassVar = {"members": "segmenters"}

    def __init__(self, members: Sequence[StreetNet]) -> None:
        nn.Module.__init__(self)  # it has no layers of its own
        if len(members) < 2:
            raise ConfigError(f"an ensemble of street networks has at least two members, not {len(members)}")
        first = members[0]
        for each in members[1:]:
            if each.classes != first.classes or each.objectness != first.objectness:
                raise ConfigError(
                    "the members of an ensemble must share classes and objectness: train them alike"
                )
        self.members = nn.ModuleList(members)
        self.widths, self.depths, self.objectness = first.widths, first.depths, first.objectness
        self.classes, self.backbone = first.classes, first.backbone

    @property
    def networks(self) -> list[StreetNet]:
        """Returns the members."""
        return [cast(StreetNet, member) for member in self.members]

    def arguments(self) -> dict[str, Any]:
        """See `Part.arguments`."""
        return {"members": list(self.networks)}

    def train(self, mode: bool = True) -> StreetEnsemble:
        """Switches the mode of all members."""
        nn.Module.train(self, mode)
        return self

    def encode(self, images: Tensor) -> list[Tensor]:
        """Computes the first member's encoder features; see `StreetNet.encode`."""
        return self.networks[0].encode(images)

    def features(self, images: Tensor) -> list[Tensor]:
        """Computes every member's features of `StreetNet.features`, those of the first member first."""
        return [level for member in self.networks for level in member.features(images)]

    def heads(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Averages the members' logits and objectness over what `features` returned."""
        own = len(levels) // len(self.networks)
        found = [
            member.heads(levels[own * index : own * (index + 1)])
            for index, member in enumerate(self.networks)
        ]
        logits = torch.stack([logits for logits, _ in found]).mean(0)
        objectness = [each for _, each in found if each is not None]
        return logits, torch.stack(objectness).mean(0) if objectness else None

    def last_features(self, levels: Sequence[Tensor]) -> Tensor:
        """Joins what the members' class heads read, `[B, C, H/4, W/4]`, of what `features` returned."""
        own = len(levels) // len(self.networks)
        return torch.cat([levels[own * index + own - 2] for index in range(len(self.networks))], 1)

    def classify(self, features: Tensor) -> Tensor:
        """Averages the members' logits; see `Segmenter.classify`."""
        parts = torch.split(features, [member.widths[1] for member in self.networks], 1)
        logits = [member.classify(part) for member, part in zip(self.networks, parts, strict=True)]
        return torch.stack(logits).mean(0)


def some_members(network: StreetNet, places: Sequence[int]) -> StreetNet:
    """Takes members of an ensemble by their places; they share their weights with it.

    Raises:
        ConfigError: No place, or one that it does not have.
    """
    members = network.networks if isinstance(network, StreetEnsemble) else [network]
    if not places or not set(places) <= set(range(len(members))):
        raise ConfigError(
            f"members of an ensemble of {len(members)} are chosen by places from 0 to {len(members) - 1}, "
            f"not by {list(places)}"
        )
    chosen = [members[place] for place in places]
    return chosen[0] if len(chosen) == 1 else StreetEnsemble(chosen)
