"""A data folder of a few images: discs on clouds as DUTS objects, boxes on stripes as streets."""

from pathlib import Path

import cv2
import numpy as np

from oodseg.data.duts import is_held_out


def save_jpg(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def fabricate_data(root: Path, objects: int = 8) -> Path:
    rng = np.random.default_rng(0)
    ids = [f"n{number:08d}" for number in range(100)]
    held_out, kept = ([each for each in ids if is_held_out(each) == wanted] for wanted in (True, False))
    stems = [f"{wnid}_{index}" for wnid in (held_out[0], kept[0]) for index in range(objects // 2)]
    masks = root / "duts_tr" / "masks"
    masks.mkdir(parents=True)
    for stem in stems:
        image = cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (96, 72))
        mask = np.zeros((72, 96), np.uint8)
        centre = int(rng.integers(25, 70)), int(rng.integers(20, 50))
        cv2.circle(mask, centre, int(rng.integers(10, 20)), 255, -1)
        image[mask > 0] = (40, 60, 220)
        save_jpg(root / "duts_tr" / "images" / f"{stem}.jpg", image)
        cv2.imwrite(str(masks / f"{stem}.png"), mask)
    (root / "duts_tr" / "nonstreet.tsv").write_text("")
    for part, code in (("camvid/train", 8), ("idd_lite/train", 3), ("cityscapes_sample", None)):
        for index in range(2):
            image = cv2.resize(rng.integers(0, 255, (5, 9, 3)).astype(np.uint8), (160, 120))
            image[60:90, 40:90] = (200, 40, 40)
            save_jpg(root / part / "images" / f"{index}.jpg", image)
            if code is not None:
                label = np.zeros((120, 160), np.uint8)
                label[60:90, 40:90] = code
                (root / part / "labels").mkdir(exist_ok=True)
                cv2.imwrite(str(root / part / "labels" / f"{index}.png"), label)
    return root
