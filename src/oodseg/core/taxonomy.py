"""Names of classes and codes of labels: the seven level-1 classes of IDD, and how other sets map to them."""

from __future__ import annotations

CLASSES = (
    "drivable",
    "non-drivable",
    "living things",
    "vehicles",
    "roadside objects",
    "far objects",
    "sky",
)
DRIVABLE, NON_DRIVABLE, LIVING, VEHICLE, ROADSIDE, FAR, SKY = range(7)
CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
# Cityscapes' classes for evaluation, in the order of its trainIds.
CITYSCAPES_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
IGNORE = 255

# CamVid: the classes above, then unlabelled.
_CAMVID = dict(enumerate((6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2, IGNORE)))
_IDD = {index: index for index in range(7)}
# Cityscapes labelIds; 4..6 (static, dynamic, ground) and the ego vehicle have no class.
_CITYSCAPES = {
    7: 0, 8: 1, 9: 0, 10: 1, 11: 5, 12: 4, 13: 4, 14: 4, 15: 5, 16: 5, 17: 4, 18: 4, 19: 4, 20: 4, 21: 5,
    22: 1, 23: 6, 24: 2, 25: 2, 26: 3, 27: 3, 28: 3, 29: 3, 30: 3, 31: 3, 32: 3, 33: 3,
}  # fmt: skip
# Codes of things without a class that stand about, such as bins, bags and prams: Cityscapes' "dynamic".
LOOSE_CODES = {"cityscapes_sample": (5,), "cityscapes_640": (5,)}
LOOSE = 254  # what they become where a reader asks for them
CODES = {
    "camvid": _CAMVID,
    "camvid_classes": {index: index for index in range(len(CAMVID_CLASSES))},
    "idd_lite": _IDD,
    "cityscapes_sample": _CITYSCAPES,
    "cityscapes_640": _CITYSCAPES,
}

BACKGROUND = "background"  # a first class of this name is left uncoloured
