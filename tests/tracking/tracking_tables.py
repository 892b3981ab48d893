"""Frames made of filled boxes, for tests of identities."""

import numpy as np

from oodseg.core.objects import encode_objects
from oodseg.core.prediction import Prediction

HEIGHT, WIDTH = 60, 200


def filled(box, confidence=0.5, height=HEIGHT, width=WIDTH):
    """The object that fills a box `(x0, y0, x1, y1)`."""
    x0, y0, x1, y1 = box
    mask = np.zeros((1, height, width), bool)
    mask[0, y0:y1, x0:x1] = True
    (found,) = encode_objects(mask, [box], [confidence])
    return found


def frames(*rows, rate=10):
    """One prediction per row; a row lists boxes, or pairs of a box and its confidence."""
    predictions = []
    for number, row in enumerate(rows):
        objects = [filled(*each) if isinstance(each[0], tuple) else filled(each) for each in row]
        predictions.append(Prediction(None, HEIGHT, WIDTH, objects, time=number / rate))
    return predictions


def box_of(found):
    x, y, width, height = found.bbox
    return x, y, x + width, y + height
