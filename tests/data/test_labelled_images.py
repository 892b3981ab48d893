import cv2
import numpy as np
import pytest

from oodseg.core.errors import DatasetError
from oodseg.data.labelled import labelled_images

NOTHING = np.zeros((20, 30), np.uint8)


def save(folder, name, label=NOTHING, suffix="jpg"):
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{name}.{suffix}"), np.full((20, 30, 3), (0, 0, 200), np.uint8))
    if label is not None:
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), label)
    return folder


def test_images_and_labels_by_name(tmp_path):
    label = np.arange(600, dtype=np.uint16).reshape(20, 30)
    save(tmp_path, "10", label)
    found = labelled_images(save(tmp_path, "9", suffix="png"))
    assert [each.name for each in found] == ["9", "10"]
    image, truth = found[1].read()
    assert image.shape == (20, 30, 3)
    assert image[0, 0, 0] > 180, "RGB"
    assert truth.dtype == np.uint8
    np.testing.assert_array_equal(truth.ravel()[:256], np.arange(256))
    assert (truth.ravel()[256:] == 255).all(), "larger codes do not count"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="must hold images/ and labels/"):
        labelled_images(tmp_path)
    save(tmp_path, "a", None)
    with pytest.raises(DatasetError, match=r"a\.jpg has no label of that name"):
        labelled_images(tmp_path)
    save(tmp_path, "a", np.zeros((10, 30), np.uint8))
    with pytest.raises(DatasetError, match=r"a\.png is 30x10, its image 30x20"):
        labelled_images(tmp_path)[0].read()
