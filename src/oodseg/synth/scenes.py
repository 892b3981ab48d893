"""Outlier-exposure scenes: street images with unknown objects, natural images of objects, drawn streets.

Where a scene comes from is chosen at random; whatever is pasted, known or unknown, goes through the same
`paste`, and the finished scene through the same camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from oodseg.core.errors import DatasetError
from oodseg.core.taxonomy import DRIVABLE, FAR, IGNORE, LIVING, LOOSE, NON_DRIVABLE, ROADSIDE, SKY, VEHICLE
from oodseg.data.duts import DutsIndex
from oodseg.data.mined import read_mined, split_mined
from oodseg.data.training import street_images
from oodseg.synth.camera import shoot
from oodseg.synth.cutouts import Cutouts
from oodseg.synth.drawn import draw_scene
from oodseg.synth.in_place import in_place
from oodseg.synth.known import ODD_VEHICLES, PEOPLE, VEHICLES
from oodseg.synth.loose import loose_things
from oodseg.synth.mix import Mix
from oodseg.synth.own_car import OwnCars
from oodseg.synth.paste import Cutout, paste, place, rescale
from oodseg.synth.surroundings import blobs, cast_shadows, mark_ground, replace_surroundings
from oodseg.synth.windows import StreetWindows, cut_window

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """One training scene.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB.
        labels: uint8 `[H, W]`: street classes 0..6; 255 where no class is known (unknown objects included).
        unknown: uint8 `[H, W]`: 0 nothing unknown, 1..254 index of an unknown object, 255 not to be judged.
        kind: `"street"`, `"natural"` or `"drawn"`.
        known: Bool `[H, W]`: where a known thing was pasted over the image.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    unknown: NDArray[np.uint8]
    kind: str
    known: NDArray[np.bool_]


class SceneSampler:
    """Makes outlier-exposure scenes of one size.

    Args:
        root: Folder of the training data (see `oodseg.data.training` and `oodseg.data.duts`).
        size: Height and width of a scene in pixels.
        split: `"train"`, or `"val"`: other drives, and objects of WordNet ids that are never trained on.
        seed: Kept for the record; every choice comes from the generator given to `sample`.
        mix: How often what happens.

    Raises:
        DatasetError: The data folder is incomplete.
    """

    def __init__(
        self,
        root: str | Path,
        size: tuple[int, int],
        split: str = "train",
        seed: int = 0,
        mix: Mix | None = None,
    ) -> None:
        self.size, self.split, self.seed, self.mix = size, split, seed, mix or Mix()
        streets = street_images(root, split)
        items = DutsIndex(Path(root) / "duts_tr", "held_out" if split == "val" else "train").items
        self._unknown = [item for item in items if item.nonstreet]
        # Few vehicles and people are held out; as negatives they serve both splits.
        everything = DutsIndex(Path(root) / "duts_tr").items
        self._known = [item for item in everything if item.wnid in VEHICLES or item.wnid in PEOPLE]
        for found, what in (
            (self._unknown, f"an object that no street class covers, for the split '{split}'"),
            (self._known, "a vehicle or a person"),
        ):
            if not found:
                raise DatasetError(
                    f"{Path(root) / 'duts_tr'} shows no picture of {what}: unpack the set again"
                )
        self._windows = StreetWindows(streets, size)
        mined = split_mined(read_mined(self.mix.more_objects, "keep"), split)
        self._rejected = split_mined(read_mined(self.mix.more_negatives, "reject"), split)
        odd = [item for item in items if item.wnid in ODD_VEHICLES]
        self._cutouts = Cutouts(self._unknown, self._known, streets, self.mix, odd, mined, self._rejected)
        self._own_cars = OwnCars(streets, size)

    def sample(self, rng: np.random.Generator) -> Scene:
        """Makes one scene; the generator's state decides everything."""
        # Without rejected things nothing is drawn for them: scenes of a seed stay what they were.
        if self._rejected and rng.random() < self.mix.rejected:
            image, codes = in_place(self._rejected[int(rng.integers(len(self._rejected)))], self.size, rng)
            labels = np.full(self.size, IGNORE, np.uint8)
            return Scene(shoot(image, rng), labels, codes, "street", codes == 0)
        draw = rng.random()
        zoom = float(np.exp(rng.uniform(0, np.log(2)))) if rng.random() < self.mix.zoomed else 1.0
        if draw < self.mix.natural:
            scene = self._natural(rng, zoom)
        elif draw < self.mix.natural + self.mix.drawn:
            drawn = draw_scene(rng, self.size)
            scene = Scene(drawn.image, drawn.labels, drawn.unknown, "drawn", np.zeros(self.size, bool))
        else:
            scene = self._street(rng, zoom)
        return replace(scene, image=shoot(scene.image, rng))

    def _street(self, rng: np.random.Generator, zoom: float = 1.0) -> Scene:
        # Without them nothing is drawn for loose things: scenes of a seed stay what they were.
        loose = self.mix.loose > 0 and rng.random() < self.mix.loose
        image, labels = self._windows.draw(rng, zoom, loose)
        ground = np.isin(labels, (DRIVABLE, NON_DRIVABLE))
        if rng.random() < self.mix.country:
            self._to_country(image, labels, rng)
        if rng.random() < self.mix.shadows:
            cast_shadows(image, ground, rng)
        if rng.random() < self.mix.markings:
            mark_ground(image, labels == DRIVABLE, rng)
        unknown, known = np.zeros(self.size, np.uint8), np.zeros(self.size, bool)
        if rng.random() < self.mix.known:
            for _ in range(int(rng.integers(1, 3))):
                known |= self._paste_known(image, labels, ground, rng, zoom)
        if rng.random() < self.mix.own_car:
            known |= self._own_cars.paste(image, labels, rng)
        if rng.random() >= self.mix.empty:
            index = 1
            for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.42, 0.3, 0.17, 0.11]))):
                index += self._paste_unknown(image, labels, unknown, index, ground, rng, zoom)
        unknown[labels == LOOSE] = loose_things(labels)[labels == LOOSE]
        labels[labels == LOOSE] = IGNORE
        return Scene(image, labels, unknown, "street", known & (unknown == 0))

    def _to_country(
        self, image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
    ) -> None:
        """Replaces what stands beside the road, or random patches, by the background of a natural image."""
        item = self._unknown[int(rng.integers(len(self._unknown)))]
        nature, mask = cut_window([item.read_image(), item.read_mask().astype(np.uint8)], self.size, 0.4, rng)
        if rng.random() < 0.65:
            given_up = [NON_DRIVABLE, ROADSIDE, FAR, *([SKY] if rng.random() < 0.3 else [])]
            where = np.isin(labels, given_up)
        else:
            share, cell = float(rng.uniform(0.1, 0.5)), float(rng.uniform(30, 160))
            where = (blobs(self.size, share, cell, rng) > 0.5) & ~np.isin(labels, (LIVING, VEHICLE))
        # The natural image's own object stays out of it.
        where &= cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
        labels[replace_surroundings(image, nature, where, rng)] = IGNORE

    def _paste_unknown(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        unknown: NDArray[np.uint8],
        index: int,
        ground: NDArray[np.bool_],
        rng: np.random.Generator,
        zoom: float = 1.0,
    ) -> int:
        """Pastes an object, or a herd, from `index` on; returns how many."""
        thing = self._cutouts.unknown(rng)
        if thing is None:
            return 0
        thing, left, top = place(thing, self.size, ground, rng, zoom)
        opacity = float(rng.uniform(0.4, 0.95)) if rng.random() < self.mix.faint else 1.0
        shadow = float(rng.uniform(0.15, 0.6)) if rng.random() < 0.45 else 0.0
        count = int(rng.integers(2, 7)) if rng.random() < self.mix.herds else 1
        tall, wide = thing.alpha.shape
        foot, side = top + tall, max(tall, wide)
        for number in range(count):
            if number:
                # Beside the one before, a little nearer or farther away.
                left += int(rng.choice((-1, 1)) * wide * rng.uniform(0.5, 1.6))
                foot += int(tall * rng.uniform(-0.2, 0.2))
                thing = rescale(thing, max(6.0, side * float(np.exp(rng.normal(0, 0.15)))), rng)
            covered = paste(image, thing, left, foot - thing.alpha.shape[0], rng, opacity, shadow)
            unknown[covered], labels[covered] = index + number, IGNORE
        return count

    def _paste_known(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        ground: NDArray[np.bool_],
        rng: np.random.Generator,
        zoom: float = 1.0,
    ) -> NDArray[np.bool_]:
        """A vehicle, a person, or a piece of another street in an object's outline: pasted, yet known."""
        shadow = float(rng.uniform(0.15, 0.6)) if rng.random() < 0.45 else 0.0
        if rng.random() >= self.mix.pieces:
            thing, label = self._cutouts.known(rng)
            if thing is None:
                return np.zeros(self.size, bool)
            thing, left, top = place(thing, self.size, ground, rng, zoom)
            covered = paste(image, thing, left, top, rng, 1.0, shadow)
            labels[covered] = label
            return covered
        shape = self._cutouts.outline(rng)
        if shape is None:
            return np.zeros(self.size, bool)
        shape, left, top = place(shape, self.size, ground, rng, zoom)
        other, other_labels = self._windows.draw(rng)
        h, w = min(shape.alpha.shape[0], self.size[0]), min(shape.alpha.shape[1], self.size[1])
        y, x = int(rng.integers(self.size[0] - h + 1)), int(rng.integers(self.size[1] - w + 1))
        window = np.s_[y : y + h, x : x + w]
        piece = Cutout(other[window], np.ascontiguousarray(shape.alpha[:h, :w]))
        covered = paste(image, piece, left, top, rng, 1.0, shadow)
        source = np.full(self.size, IGNORE, np.uint8)
        y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + h, self.size[0]), min(left + w, self.size[1])
        if y1 > y0 and x1 > x0:
            source[y0:y1, x0:x1] = other_labels[window][y0 - top : y1 - top, x0 - left : x1 - left]
        labels[covered] = source[covered]
        return covered

    def _natural(self, rng: np.random.Generator, zoom: float = 1.0) -> Scene:
        """A DUTS image as it is: its object is unknown, or known where it is a vehicle or a person."""
        known = rng.random() < 0.22
        items = self._known if known else self._cutouts.stranger(rng)
        item = items[int(rng.integers(len(items)))]
        image, mask = cut_window(
            [item.read_image(), item.read_mask().astype(np.uint8)], self.size, 0.6, rng, zoom
        )
        labels, unknown = np.full(self.size, IGNORE, np.uint8), np.zeros(self.size, np.uint8)
        if known:
            labels[mask > 0] = VEHICLE if item.wnid in VEHICLES else LIVING
            # Around people and vehicles lies anything: only the thing itself is known to be known.
            unknown[mask == 0] = IGNORE
        else:
            unknown = np.minimum(cv2.connectedComponents(mask)[1], 200).astype(np.uint8)
            if rng.random() < self.mix.crowded:
                nowhere = np.zeros(self.size, bool)
                index = 201
                for _ in range(1 + int(rng.integers(2))):
                    index += self._paste_unknown(image, labels, unknown, index, nowhere, rng)
        return Scene(image, labels, unknown, "natural", np.zeros(self.size, bool))
