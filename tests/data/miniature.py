"""Fabricates tiny copies of every benchmark layout."""

import json

import numpy as np
from PIL import Image

SIZE = (24, 32)


def label(*codes, size=SIZE):
    """A label whose columns take the codes in turn, in equal stripes."""
    stripes = np.array_split(np.arange(size[1]), len(codes))
    image = np.zeros(size, np.uint8)
    for code, columns in zip(codes, stripes, strict=True):
        image[:, columns] = code
    return image


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def image(path, seed=0, size=SIZE):
    return save(path, np.random.default_rng(seed).integers(0, 255, (*size, 3)).astype(np.uint8))


def plain(root, anomaly=1, names=("2", "10"), images="images"):
    for seed, name in enumerate(names):
        image(root / images / f"{name}.jpg", seed)
        save(root / "labels" / f"{name}.png", label(0, anomaly, 255))
    return root


def validation_dataset(root, anomaly=1, suffix="jpg"):
    for seed, name in enumerate(("0", "1")):
        image(root / "images" / f"{name}.{suffix}", seed)
        save(root / "labels_masks" / f"{name}.png", label(0, anomaly))
    return root


def smiyc_anomaly(root):
    for name in ("validation0000", "validation0001"):
        image(root / "images" / f"{name}.jpg")
        save(root / "labels_masks" / f"{name}_labels_semantic.png", label(0, 1, 255))
        save(root / "labels_masks" / f"{name}_labels_semantic_color.png", np.zeros((*SIZE, 3), np.uint8))
    image(root / "images" / "airplane0000.jpg")
    return root


def smiyc_obstacle(root, count=2):
    for number in range(1, count + 1):
        image(root / "images" / f"validation_{number}.webp")
        save(root / "labels_masks" / f"validation_{number}_labels_semantic.png", label(255, 0, 1))
    image(root / "images" / "gravel_bag_3.webp")
    return root


LAF_FRAMES = {
    "04_Maurener_Weg_8": ["04_Maurener_Weg_8_000000_000030"],
    "15_Rechbergstr_Deckenpfronn": ["15_Rechbergstr_Deckenpfronn_000001_000040"],
    "01_Hanns_Klemm_Str_45": ["01_Hanns_Klemm_Str_45_000006_000080", "01_Hanns_Klemm_Str_45_000008_000080"],
}


def lost_and_found(root):
    for split in ("test", "train"):
        for town, names in LAF_FRAMES.items():
            for name in names:
                image(root / "leftImg8bit" / split / town / f"{name}_leftImg8bit.png")
                save(root / "gtCoarse" / split / town / f"{name}_gtCoarse_labelIds.png", label(0, 1, 2, 43))
        # A frame whose label was never drawn.
        town = root / "leftImg8bit" / split / "04_Maurener_Weg_8"
        image(town / "04_Maurener_Weg_8_000000_000060_leftImg8bit.png")
        empty = (
            root / "gtCoarse" / split / town.name / "04_Maurener_Weg_8_000000_000060_gtCoarse_labelIds.png"
        )
        save(empty, label(0))
    return root


def fishyscapes_laf(root, images=True):
    for number, name in enumerate(("04_Maurener_Weg_8_000000_000030", "01_Hanns_Klemm_Str_45_000008_000080")):
        save(root / "fishyscapes_lostandfound" / f"{number:04d}_{name}_labels.png", label(0, 1, 255))
        if images:
            part = root / "leftImg8bit" / ("test" if number else "train") / name.rsplit("_", 2)[0]
            image(part / f"{name}_leftImg8bit.png")
    return root


def fishyscapes_static(root, cityscapes=True):
    overlay = np.zeros((*SIZE, 3), np.int16)
    overlay[:8, :8] = (30, -20, 250)
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / "0000_frankfurt_000001_046504_rgb.npz", rgb=overlay)
    save(root / "0000_frankfurt_000001_046504_labels.png", label(0, 0, 1))
    if cityscapes:
        town = root / "leftImg8bit" / "val" / "frankfurt"
        image(town / "frankfurt_000001_046504_leftImg8bit.png")
    return root


def road_anomaly(root):
    for name in ("animals01_Calves", "rock02_road"):
        image(root / "frames" / f"{name}.jpg")
        save(root / "frames" / f"{name}.labels" / "labels_semantic.png", label(0, 2))
    return root


def street_hazards(root, lines=False):
    records = []
    for name in ("300", "301"):
        image(root / "test" / "images" / "test" / "t5" / f"{name}.png")
        save(root / "test" / "annotations" / "test" / "t5" / f"{name}.png", label(1, 13, 14))
        records.append({"dbName": "StreetHazards", "fpath_img": f"images/test/t5/{name}.png",
                        "fpath_segm": f"annotations/test/t5/{name}.png"})  # fmt: skip
    text = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    (root / "test" / "test.odgt").write_text(text)
    return root


def bdd_anomaly(root, listed=False):
    for part, name, codes in (("train", "a", (0, 17, 255)), ("train", "b", (0, 15)), ("val", "c", (3, 18))):
        image(root / "seg" / "images" / part / f"{name}.jpg")
        save(root / "seg" / "labels" / part / f"{name}_train_id.png", label(*codes))
    if listed:
        record = {"fpath_img": "seg/images/train/a.jpg", "fpath_segm": "seg/labels/train/a_train_id.png"}
        (root / "anom.odgt").write_text(json.dumps([record]))
    return root
