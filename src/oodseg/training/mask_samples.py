"""Training samples of the promptable segmenter: a crop with a jittered box, and the object in it.

Three sources: whole DUTS images, DUTS objects pasted small onto street images, and the people
and vehicles of labelled street images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from oodseg.core.errors import DatasetError
from oodseg.data.duts import DutsIndex, DutsItem
from oodseg.data.files import by_name, label_of
from oodseg.data.mined import MinedThing
from oodseg.io.labels import read_label
from oodseg.masks.compact import IMAGE_MEAN, IMAGE_STD, SCORE_HIGH, SCORE_LOW, SCORE_SCALE
from oodseg.masks.crops import box_channel, build_pyramid, crop_regions, sample_crops
from oodseg.masks.growth import tight_box
from oodseg.training.degrade import degrade, shift_colours, simulate_score
from oodseg.training.shot import Image, Mask, Shot

if TYPE_CHECKING:
    from torch import Tensor

# Label codes of vehicles and living things.
_THINGS = {"camvid/train": (8, 9, 10), "idd_lite/train": (2, 3)}
_BACKGROUNDS = ("camvid/train", "idd_lite/train", "cityscapes_sample")
_SMALLEST_SHARE = 0.01


def split_objects(mask: Mask, smallest_share: float = _SMALLEST_SHARE) -> list[Mask]:
    """Finds 8-connected components of at least a share of the image; the largest if none is."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 1:
        return []
    areas = stats[1:, cv2.CC_STAT_AREA]
    chosen = np.flatnonzero(areas >= smallest_share * mask.size)
    if not len(chosen):
        chosen = np.array([int(areas.argmax())])
    return [labels == index + 1 for index in chosen]


def jitter_box(
    box: tuple[int, int, int, int], sigma: float, width: int, height: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Moves each side by a normal share of the box's width or height; clipped to the image, >= 1 px."""
    x0, y0, x1, y1 = box
    size = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0], np.float32)
    shift = (rng.normal(0, sigma, 4) * size).clip(-0.35 * size, 0.35 * size)
    moved = np.array(box, np.float32) + shift
    moved = moved.clip(0, np.array([width, height, width, height], np.float32))
    moved[:2] = np.minimum(moved[:2], np.array([width - 1, height - 1], np.float32))
    moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
    jittered: NDArray[np.float32] = moved.astype(np.float32)
    return jittered


class ShotMaker:
    """Draws shots from the data folder.

    Args:
        root: Folder with `duts_tr`, and, if street shots are wanted, `camvid`, `idd_lite` and
            `cityscapes_sample`.
        split: `"train"` or `"held_out"` objects (see `is_held_out`).
        pasted: Share of shots with an object pasted onto a street image, 0..1.
        street: Share of shots of labelled street objects, 0..1.
        mined: More objects: their outlines are those that people corrected.
        mined_share: Share of the objects that are taken from these, where there are some.

    Raises:
        DatasetError: A folder is missing or empty.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        pasted: float,
        street: float,
        mined: Sequence[MinedThing] = (),
        mined_share: float = 0.0,
    ) -> None:
        self.items = DutsIndex(root / "duts_tr", split).items
        self.mined, self.mined_share = mined, mined_share
        self.pasted = pasted
        self.street = street
        self.backgrounds: list[Path] = []
        self.labelled: list[tuple[Path, Path, tuple[int, ...]]] = []
        self._large: dict[Path, Image] = {}
        if pasted > 0 or street > 0:
            self._find_streets(root)

    def _find_streets(self, root: Path) -> None:
        for part in _BACKGROUNDS:
            listed = by_name(root / part / "images")
            images = sorted(path for path in listed if path.suffix.lower() == ".jpg")
            if not images:
                raise DatasetError(f"{root / part / 'images'} holds no .jpg: put street images there")
            # The few large frames have fine texture that the others lack: show them more often.
            self.backgrounds += images * (20 if len(images) < 50 else 1)
            if part in _THINGS:
                pairs = [(each, label_of(root / part / "labels" / f"{each.stem}.png")) for each in images]
                self.labelled += [(image, label, _THINGS[part]) for image, label in pairs]

    def draw(self, rng: np.random.Generator) -> Shot:
        """Draws one shot."""
        kind = rng.random()
        if kind < self.street:
            shot = self._street(rng)
            if shot is not None:
                return shot
        elif kind < self.street + self.pasted:
            return self._pasted(rng)
        return self.natural(self._item(rng), rng)

    def _item(self, rng: np.random.Generator) -> DutsItem | MinedThing:
        # Without mined objects nothing is drawn for them: samples of a seed stay what they were.
        items = self.mined if self.mined and rng.random() < self.mined_share else self.items
        return items[int(rng.integers(len(items)))]

    def natural(self, item: DutsItem | MinedThing, rng: np.random.Generator) -> Shot:
        """Samples one object of a DUTS image; sometimes all of them together."""
        image, mask = item.read_image(), item.read_mask()
        parts = split_objects(mask)
        if not parts:
            where = item.mask if isinstance(item, DutsItem) else item.path
            raise DatasetError(f"{where} marks no object: download it again")
        target = mask if rng.random() < 0.1 else parts[int(rng.integers(len(parts)))]
        return Shot(image, target, mask & ~target)

    def _background(self, rng: np.random.Generator) -> Image:
        path = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        image = self._large.get(path)
        if image is None:
            read = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if read is None:
                raise DatasetError(f"{path} cannot be read as an image: download it again")
            image = np.ascontiguousarray(read[..., ::-1])
            if image.size > 3_000_000:
                self._large[path] = image
        return image

    def _pasted(self, rng: np.random.Generator) -> Shot:
        """A DUTS object, 8 to 150 px long, on a street image."""
        street = self._background(rng)
        item = self._item(rng)
        image, mask = item.read_image(), item.read_mask()
        parts = split_objects(mask)
        target = parts[int(rng.integers(len(parts)))]
        x0, y0, x1, y1 = tight_box(target)
        longest = float(np.exp(rng.uniform(np.log(8), np.log(150))))
        scale = min(longest / max(x1 - x0, y1 - y0), street.shape[0] / 1.5 / (y1 - y0))
        size = max(3, round((x1 - x0) * scale)), max(3, round((y1 - y0) * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        thing = cv2.resize(image[y0:y1, x0:x1], size, interpolation=how)
        alpha = cv2.resize(target[y0:y1, x0:x1].astype(np.float32), size, interpolation=how)
        if rng.random() < 0.5:
            thing, alpha = np.ascontiguousarray(thing[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
        # Only the surroundings that a crop can show, cut at random around the object.
        margin = 2 * max(size) + 16
        x = int(rng.integers(0, max(1, street.shape[1] - size[0])))
        y = int(rng.integers(street.shape[0] // 4, max(street.shape[0] // 4 + 1, street.shape[0] - size[1])))
        left, top = max(0, x - margin), max(0, y - margin)
        scene = street[top : y + size[1] + margin, left : x + size[0] + margin].copy()
        rows, columns = slice(y - top, y - top + size[1]), slice(x - left, x - left + size[0])
        under = scene[rows, columns].astype(np.float32)
        alpha, thing = alpha[: under.shape[0], : under.shape[1]], thing[: under.shape[0], : under.shape[1]]
        placed = np.zeros(scene.shape[:2], bool)
        placed[rows, columns] = alpha > 0.5
        if not placed.any():
            return self.natural(item, rng)
        if rng.random() < 0.5:
            alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.4, 1.0))
        if rng.random() < 0.25:
            alpha = alpha * rng.uniform(0.6, 1.0)
        thing = _match(thing.astype(np.float32), alpha, under, rng.uniform(0, 0.6))
        mixed = under + alpha[..., None] * (thing - under)
        scene[rows, columns] = mixed.clip(0, 255).astype(np.uint8)
        return Shot(scene, placed, np.zeros_like(placed))

    def _street(self, rng: np.random.Generator) -> Shot | None:
        """A vehicle or living thing of a labelled street image that looks like a single one."""
        path, label, codes = self.labelled[int(rng.integers(len(self.labelled)))]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        labels = read_label(label)
        if image is None or image.shape[:2] != labels.shape:
            raise DatasetError(f"{path} and {label} are not a matching pair: download them again")
        code = codes[int(rng.integers(len(codes)))]
        _, components, stats, _ = cv2.connectedComponentsWithStats((labels == code).astype(np.uint8))
        width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
        area = stats[:, cv2.CC_STAT_AREA]
        solid = (area >= 0.4 * width * height) & (area < 0.3 * labels.size)
        single = solid & (np.minimum(width, height) >= 12)
        single[0] = False
        chosen = np.flatnonzero(single)
        if not len(chosen):
            return None
        target = components == chosen[int(rng.integers(len(chosen)))]
        things = np.isin(labels, codes)
        return Shot(np.ascontiguousarray(image[..., ::-1]), target, things & ~target)


def _match(
    thing: NDArray[np.float32], alpha: NDArray[np.float32], under: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Moves an object's mean and spread of colour part of the way to those of what it covers."""
    inside = alpha > 0.5
    if not inside.any():
        return thing
    mean, std = thing[inside].mean(axis=0), thing[inside].std(axis=0) + 1
    goal_mean, goal_std = under.mean(axis=(0, 1)), under.std(axis=(0, 1)) + 8
    matched: NDArray[np.float32] = (thing - mean) * (1 + share * ((goal_std / std).clip(0.6, 1.6) - 1)) + (
        mean + share * (goal_mean - mean)
    )
    return matched


class SampleMaker:
    """Makes sample `index`, from the seed and that number alone.

    Args:
        shots: Where images come from.
        size: Side of the crops.
        context: Enlargement of the box (see `crop_regions`).
        seed: Seed of the whole stream.
        score_share: Share of samples that come with a simulated score map, 0..1.
        augment: Degrade and distort images; off for validation.
    """

    def __init__(
        self, shots: ShotMaker, size: int, context: float, seed: int, score_share: float, augment: bool
    ) -> None:
        self.shots = shots
        self.size = size
        self.context = context
        self.seed = seed
        self.score_share = score_share
        self.augment = augment

    def __call__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Makes one sample.

        Returns:
            Network input float `[6, size, size]`, target float 0/1 `[size, size]`, and weight float
            `[size, size]`: 0 outside the image, 1 inside.
        """
        rng = np.random.default_rng([self.seed, index])
        if self.augment:
            shot = degrade(self.shots.draw(rng), rng)
        else:
            shot = self.shots.natural(self.shots.items[index % len(self.shots.items)], rng)
        return self.crop(shot, rng)

    def crop(self, shot: Shot, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Cuts a shot around its target's jittered box."""
        height, width = shot.target.shape
        wide = self.augment and rng.random() < 0.2
        box = jitter_box(tight_box(shot.target), 0.2 if wide else 0.1, width, height, rng)
        boxes = torch.from_numpy(box)[None]
        regions = crop_regions(boxes, self.context)
        # A window is cut first: the pyramid of the whole image would cost most of the time.
        left, top = np.floor(np.maximum(regions[0, :2].numpy() - 4, 0)).astype(int).tolist()
        right, bottom = np.ceil(regions[0, 2:].numpy() + 4).astype(int).tolist()
        window = slice(top, bottom), slice(left, right)
        image = shot.image[window]
        if self.augment:
            image = shift_colours(image, rng)
        layers = np.concatenate(
            [
                (image.astype(np.float32) / 255 - IMAGE_MEAN) / IMAGE_STD,
                shot.target[window][..., None].astype(np.float32),
                shot.others[window][..., None].astype(np.float32),
                np.ones((*image.shape[:2], 1), np.float32),
            ],
            axis=2,
        )
        shifted = torch.tensor([left, top, left, top], dtype=torch.float32)
        pyramid = build_pyramid(torch.from_numpy(layers).permute(2, 0, 1), self.size)
        crop = sample_crops(pyramid, regions - shifted, self.size)[0]
        target = (crop[3] > 0.5).float()
        score = torch.zeros(2, self.size, self.size)
        if rng.random() < self.score_share:
            longest = float((regions[0, 2:] - regions[0, :2]).max())
            simulated = simulate_score(target.numpy(), crop[4].numpy(), self.size / longest, rng)
            scaled = torch.from_numpy(simulated) / SCORE_SCALE
            score[0] = scaled.clamp(SCORE_LOW, SCORE_HIGH) * crop[5]
            score[1] = 1
        drawn = box_channel(boxes, regions, self.size)[0]
        return torch.cat([crop[:3], drawn, score]), target, (crop[5] > 0.5).float()
