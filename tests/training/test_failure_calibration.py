import numpy as np
import pytest
import torch

from failure_parts import make_segmenter
from oodseg.core.taxonomy import CLASSES
from oodseg.failures.baselines import MSP
from oodseg.training.failure_calibration import calibrate
from oodseg.training.labelled import load_label_set
from training_data import make_training_data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_training_data(tmp_path_factory.mktemp("data"))


def test_calibration_makes_the_mean_error_true(root) -> None:
    images = load_label_set("street", root).val
    detector = MSP(make_segmenter(CLASSES))
    calibrate(detector, images)
    wrong, said = [], []
    for each in images:
        image, truth = each.read()
        found = detector.assess(torch.from_numpy(image).permute(2, 0, 1).float() / 255)
        wrong.append((found.labels != truth)[truth != 255])
        said.append(found.error[truth != 255])
    assert np.concatenate(said).mean() == pytest.approx(np.concatenate(wrong).mean(), abs=0.03)
