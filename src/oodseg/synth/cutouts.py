"""Things to paste into streets: unknown objects, and known things as hard negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.taxonomy import IGNORE, LIVING, ROADSIDE, VEHICLE
from oodseg.synth.crates import cut_rectangle, draw_crate
from oodseg.synth.known import VEHICLES
from oodseg.synth.paste import cut_out
from oodseg.synth.signs import draw_sign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oodseg.data.duts import DutsItem
    from oodseg.data.mined import MinedThing
    from oodseg.data.training import StreetImage
    from oodseg.synth.mix import Mix
    from oodseg.synth.paste import Cutout


class Cutouts:
    """Cuts out the things that scenes are made of.

    Args:
        strange: Natural images of objects that no street class covers.
        familiar: Natural images of vehicles and people.
        streets: Street images by source, from which vehicles and people are borrowed.
        mix: How often what is chosen.
        odd: Natural images of vehicles that no street class covers.
        mined: Mined objects, unknown ones beside `strange`.
        rejected: Things that were wrongly taken for unknown, known ones beside `familiar`.
    """

    def __init__(
        self,
        strange: Sequence[DutsItem],
        familiar: Sequence[DutsItem],
        streets: Mapping[str, Sequence[StreetImage]],
        mix: Mix,
        odd: Sequence[DutsItem] = (),
        mined: Sequence[MinedThing] = (),
        rejected: Sequence[MinedThing] = (),
    ) -> None:
        self.strange, self.familiar, self.streets, self.mix = strange, familiar, streets, mix
        self.odd, self.mined, self.rejected = odd, mined, rejected

    def unknown(self, rng: np.random.Generator) -> Cutout | None:
        """Cuts out an object; or a crate, or a rectangle, of any material; None: nothing is left."""
        # Without mined things nothing is drawn for them: scenes of a seed stay what they were.
        if self.mined and rng.random() < self.mix.mined:
            return _any(self.mined, rng)
        crate = rng.random() < self.mix.crates
        # Without rectangles nothing is drawn for them: scenes of a seed stay what they were.
        flat = not crate and self.mix.rectangles > 0 and rng.random() < self.mix.rectangles
        if not (crate or flat):
            return _any(self.stranger(rng), rng)
        texture = self.strange[int(rng.integers(len(self.strange)))].read_image()
        return draw_crate(texture, rng) if crate else cut_rectangle(texture, rng)

    def stranger(self, rng: np.random.Generator) -> Sequence[DutsItem]:
        """Chooses whether an unknown object of a natural image is a vehicle or anything else."""
        # Without odd vehicles nothing is drawn for them: scenes of a seed stay what they were.
        odd = bool(self.odd) and self.mix.odd_vehicles > 0 and rng.random() < self.mix.odd_vehicles
        return self.odd if odd else self.strange

    def outline(self, rng: np.random.Generator) -> Cutout | None:
        """Cuts an object out of its natural image; None: nothing is left."""
        return _any(self.strange, rng)

    def known(self, rng: np.random.Generator) -> tuple[Cutout | None, int]:
        """Cuts out what was rejected, makes a sign, or cuts out a vehicle or person; with its class."""
        if self.rejected and rng.random() < self.mix.mined:
            return _any(self.rejected, rng), IGNORE
        if rng.random() < self.mix.signs:
            return draw_sign(rng), ROADSIDE
        if rng.random() >= self.mix.borrowed:
            item = self.familiar[int(rng.integers(len(self.familiar)))]
            label = VEHICLE if item.wnid in VEHICLES else LIVING
            return cut_out(item.read_image(), item.read_mask()), label
        names = list(self.streets)
        images = self.streets[names[int(rng.integers(len(names)))]]
        image, labels = images[int(rng.integers(len(images)))].read()
        label = int(rng.choice((LIVING, VEHICLE)))
        _, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
        large = [index for index in range(1, len(stats)) if stats[index, cv2.CC_STAT_AREA] > 300]
        if not large:
            return None, label
        return cut_out(image, parts == large[int(rng.integers(len(large)))]), label


def _any(items: Sequence[DutsItem | MinedThing], rng: np.random.Generator) -> Cutout | None:
    item = items[int(rng.integers(len(items)))]
    return cut_out(item.read_image(), item.read_mask())
