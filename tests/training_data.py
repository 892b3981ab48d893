"""Fabricates a folder of training data: every set of the real one, a few tiny pictures each."""

import cv2
import numpy as np

from oodseg.data.duts import is_held_out
from oodseg.data.training import _in_validation

CAR, CAMERA_WEARER = "n02958343", "n10148035"
_CANDIDATES = [f"n0{number:07d}" for number in range(1_000_000, 1_000_200)]
TRAIN_IDS = [wnid for wnid in _CANDIDATES if not is_held_out(wnid)][:3]
_DRIVES = [str(number) for number in range(1000)]
DRIVES = [each for each in _DRIVES if _in_validation(each)][:3] + [
    each for each in _DRIVES if not _in_validation(each)
][:9]
HELD_OUT_IDS = [wnid for wnid in _CANDIDATES if is_held_out(wnid)][:2]


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def street(folder, name, size, codes, seed):
    """A picture of noise whose label holds the codes in equal stripes, the first lowest."""
    rng = np.random.default_rng(seed)
    height, width = size
    write(folder / "images" / f"{name}.jpg", rng.integers(40, 200, (height, width, 3)).astype(np.uint8))
    rows = np.array(codes, np.uint8)[::-1][np.arange(height) * len(codes) // height]
    write(folder / "labels" / f"{name}.png", np.repeat(rows[:, None], width, 1))


def make_training_data(root):
    for split in ("train", "val", "test"):
        for number in range(3):
            street(root / "camvid" / split, f"{split}_{number}", (48, 64), [3, 8, 1, 0, 11], number)
    for seed, drive in enumerate(DRIVES):
        for frame in range(2):
            street(root / "idd_lite" / "train", f"{drive}_{frame:04d}", (40, 56), [0, 3, 4, 6, 255], seed)
    street(root / "cityscapes_sample", "frame", (64, 128), [1, 7, 26, 11, 23], 7)
    rows = []
    for wnid in [*TRAIN_IDS, *HELD_OUT_IDS, CAR, CAMERA_WEARER]:
        for number in range(2):
            stem = f"{wnid}_{number}"
            rng = np.random.default_rng(number)
            picture = rng.integers(0, 255, (48, 60, 3)).astype(np.uint8)
            write(root / "duts_tr" / "images" / f"{stem}.jpg", picture)
            mask = np.zeros((48, 60), np.uint8)
            cv2.ellipse(mask, (30, 24), (18, 14), 0, 0, 360, 255, -1)
            write(root / "duts_tr" / "masks" / f"{stem}.png", mask)
            if wnid not in (CAR, CAMERA_WEARER):
                rows.append(f"{stem}\t{wnid}\tthing\t0.3\n")
    (root / "duts_tr" / "nonstreet.tsv").write_text("".join(rows), encoding="utf-8")
    return root


SQUEEZED = {"train": ("aachen_1", "bremen_2"), "val": ("jena_1", "ulm_2")}


def add_squeezed(root, side=40):
    """Frames squeezed to a square as WebP, their labels twice as wide as high, of cities of both splits."""
    for number, name in enumerate([*SQUEEZED["train"], *SQUEEZED["val"]]):
        rng = np.random.default_rng(number)
        picture = cv2.resize(rng.integers(40, 200, (5, 5, 3)).astype(np.uint8), (side, side))
        picture[side // 2 :, : side // 2] = (30, 60, 210)  # red on the left, BGR
        write(root / "cityscapes_640" / "images" / f"{name}.webp", picture)
        codes = np.full((side // 2, side), 7, np.uint8)
        codes[side // 4 :, : side // 2] = 26
        write(root / "cityscapes_640" / "labels" / f"{name}.png", codes)
    return root
