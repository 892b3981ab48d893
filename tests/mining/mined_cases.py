"""Fabricates results of `oodseg predict` whose objects differ in colour, and an encoder that sees colours."""

import json

import numpy as np
from PIL import Image

from oodseg.core.coco import coco_annotations, coco_document
from oodseg.core.objects import OodObject
from oodseg.mining import Encoder

SIZE = (80, 120)
RED, GREEN, BLUE, WHITE = (250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 240)


class Colours(Encoder):
    """Embeds an object as its mean colour."""

    side = 32

    def __init__(self):
        self.settings = {"test": "colours"}
        self.calls = 0

    def features(self, crops):
        self.calls += 1
        return crops


def save_results(folder, images):
    """Writes `predictions.json` and the images.

    Args:
        folder: Gets `found/` and `photos/`.
        images: Name of each image to `(colour, box, confidence)` of its objects.
    """
    photos, found = folder / "photos", folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, (name, drawn) in enumerate(images.items(), start=1):
        pixels = np.full((*SIZE, 3), 90, np.uint8)
        objects = []
        for colour, (x0, y0, x1, y1), confidence in drawn:
            pixels[y0:y1, x0:x1] = colour
            mask = np.zeros(SIZE, bool)
            mask[y0:y1, x0:x1] = True
            objects.append(OodObject.from_mask(mask, confidence))
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        listed.append((number, name, *SIZE, coco_annotations(objects, number)))
    document = coco_document(listed, {"images": str(photos)})
    (found / "predictions.json").write_text(json.dumps(document))
    return found


def collection(folder):
    """Two red objects that look alike, two green ones and a blue one in three images."""
    return save_results(
        folder,
        {
            "a.png": [(RED, (10, 10, 40, 40), 0.9), (GREEN, (60, 10, 90, 30), 0.8)],
            "b.png": [(RED, (12, 8, 44, 40), 0.7), (BLUE, (70, 40, 110, 70), 0.6)],
            "sub/c.png": [((40, 220, 90), (20, 20, 50, 60), 0.5)],
        },
    )
