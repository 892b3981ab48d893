"""The composition of outlier-exposure scenes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mix:
    """Sets how often each kind of content occurs in a scene.

    Attributes:
        natural: Share of scenes that are natural DUTS images, unpasted.
        drawn: Share of scenes the project draws itself.
        empty: Share of street scenes without any unknown object.
        known: Chance that known things are pasted too, as hard negatives.
        pieces: Share of the known things that are pieces of another street in an object's outline. Too many
            teach that something odd on the road is nothing.
        signs: Share of the known things that are traffic signs, signals and boards.
        borrowed: Share of the vehicles and people that are cut from other street images.
        country: Chance that a street's surroundings give way to those of a natural image.
        shadows: Chance of shadows on the ground.
        markings: Chance of paint, manholes and patches on the ground.
        own_car: Chance that the bonnet of a camera's own car, its star upright on it, shows below. The cars
            are those of the Cityscapes frames: validation scenes, made without these, show drawn stars only.
        herds: Chance that an unknown object comes with more of its kind beside it.
        crowded: Chance that unknown objects are pasted into a natural image too.
        faint: Chance that a pasted object is half transparent.
        crates: Share of the pasted unknown objects that are boards and crates of any material.
        rectangles: Share of the others that are plain rectangles of any image, as half of DenseHybrid's.
        odd_vehicles: Share of the unknown objects of natural images, pasted or where they are, that are
            vehicles of no street class, such as boats and carts; among the others there are only canoes.
        loose: Chance that things of the street itself that no class covers and that touch the ground, such as
            bins and bags, count as unknown; where they are not told from it, they count as the street.
        more_objects: Sources of mined objects (`oodseg.data.mined`), unknown ones beside those of DUTS.
        more_negatives: Likewise of things that were wrongly taken for unknown.
        mined: Share of the pasted unknown objects that are mined, and of the pasted known things that are
            mined negatives; where there are some.
        rejected: Share of the scenes that show a mined negative where it stands; where there are some.
        zoomed: Chance that a scene is a part of one up to twice as large: what is small enough to train on
            then looks as it does in a whole image.
    """

    natural: float = 0.24
    drawn: float = 0.1
    empty: float = 0.25
    known: float = 0.45
    pieces: float = 0.12
    signs: float = 0.25
    borrowed: float = 0.4
    country: float = 0.35
    shadows: float = 0.25
    markings: float = 0.3
    own_car: float = 0.15
    herds: float = 0.12
    crowded: float = 0.5
    faint: float = 0.15
    crates: float = 0.0
    rectangles: float = 0.0
    odd_vehicles: float = 0.0
    loose: float = 0.0
    zoomed: float = 0.0
    more_objects: tuple[str, ...] = ()
    more_negatives: tuple[str, ...] = ()
    mined: float = 0.3
    rejected: float = 0.08
