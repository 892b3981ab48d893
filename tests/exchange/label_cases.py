"""Fabricates labelled images with everything that formats stumble over, and compares what comes back."""

import numpy as np
from PIL import Image

from oodseg.core.objects import OodObject
from oodseg.exchange import LabelledImage

SIZE = HEIGHT, WIDTH = (40, 60)


def ring(top, left, side):
    """A square with a hole in its middle."""
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    mask[top + side // 3 : top + side - side // 3, left + side // 3 : left + side - side // 3] = False
    return mask


def two_parts():
    mask = np.zeros(SIZE, bool)
    mask[2:6, 30:40] = mask[10:12, 35:36] = True
    return mask


def dot(y, x):
    mask = np.zeros(SIZE, bool)
    mask[y, x] = True
    return mask


def stripe():
    """Touches three edges of the image; not convex."""
    mask = np.zeros(SIZE, bool)
    mask[30:, :] = True
    mask[33:37, 8:] = False
    return mask


def found(mask, confidence):
    return OodObject.from_mask(mask, confidence)


def images(folder):
    """Three images on disk: objects of all shapes; none; in a sub folder, one and something to ignore."""
    objects = (found(ring(3, 5, 12), 0.9), found(two_parts(), 0.75), found(dot(20, 59), 0.5))
    other, ignored = (found(ring(2, 40, 9), 0.25),), (found(stripe(), 1.0),)
    cases = [
        LabelledImage("a.png", *SIZE, objects, path=folder / "a.png"),
        LabelledImage("b.png", *SIZE, path=folder / "b.png"),
        LabelledImage("sub/a.png", *SIZE, other, ignored, folder / "sub" / "a.png"),
    ]
    for seed, each in enumerate(cases):
        each.path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(each.path)
    return cases


def masks_of(objects):
    return sorted(each.mask.tobytes() for each in objects)


def assert_same(read, written, *, confidence=True):
    """Every image with the same masks, whatever their order; an image is found again beside its labels."""
    assert [each.name for each in sorted(read, key=lambda each: each.name)] == sorted(
        each.name for each in written
    )
    by_name = {each.name: each for each in read}
    for each in written:
        back = by_name[each.name]
        assert (back.height, back.width) == (each.height, each.width)
        assert masks_of(back.objects) == masks_of(each.objects), each.name
        assert masks_of(back.ignored) == masks_of(each.ignored), each.name
        if confidence:
            assert sorted(x.confidence for x in back.objects) == sorted(x.confidence for x in each.objects)
        assert back.path is not None
        assert back.path.is_file()
