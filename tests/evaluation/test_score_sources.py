import cv2
import numpy as np
import pytest

from oodseg.core.errors import ScoreMapError
from oodseg.data import Frame
from oodseg.evaluation.sources import FolderSource


def frames(*names):
    return [Frame(name, None, None, {}) for name in names]


def test_confidence_maps_without_an_object_are_scores_too(tmp_path, rng):
    confidence = rng.integers(0, 65535, (20, 30), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), confidence)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((20, 30), np.uint16))
    source = FolderSource(tmp_path, frames("a", "b"), "mine")
    assert np.allclose(source.score(0, (20, 30)), confidence / 65535)
    assert np.array_equal(source.score(1, (20, 30)), np.zeros((20, 30)))


def test_sizes_are_checked_and_brought_to_the_label(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(20, 30)))
    source = FolderSource(tmp_path, frames("a"), "mine")
    assert source.score(0, (40, 60)).shape == (40, 60)
    with pytest.raises(ScoreMapError, match="30x20 pixels but its image is 60x60"):
        source.score(0, (60, 60))


def test_every_frame_needs_its_file(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(20, 30)))
    with pytest.raises(ScoreMapError, match="no score map named 'b'"):
        FolderSource(tmp_path, frames("a", "b"), "mine")
