"""A finished run is found finished without the pipeline, and without torch."""

import os
import subprocess
import sys

import pytest

from oodseg.core.errors import OodsegError
from oodseg.core.normalization import ScoreNormalizer
from oodseg.detectors.street import StreetDetector
from oodseg.masks.box import BoxSegmenter
from oodseg.pipeline import S2M
from oodseg.prompts.components import ComponentPrompts
from oodseg.runs import predict
from oodseg.runs.loading import Deferred, load
from oodseg.segmenters.street import StreetNet
from redness import save_street
from run_helpers import BOX, save_photos

TINY = {"widths": [4, 6, 8, 8, 8], "depths": [1, 1, 1, 1]}
AGAIN = """
import sys
from oodseg.runs import predict
run = predict(sys.argv[1], sys.argv[2], sys.argv[3])
print(run.images, run.done_before, "torch" in sys.modules)
"""


@pytest.fixture
def saved(tmp_path):
    detector = StreetDetector(StreetNet(**TINY))
    detector.normalizer = ScoreNormalizer()
    S2M(detector, ComponentPrompts(), BoxSegmenter()).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_finished_run_needs_no_torch(saved, tmp_path):
    photos, out = save_photos(tmp_path / "photos", 2), tmp_path / "out"
    assert predict(photos, saved, out).done_before == 0
    command = [sys.executable, "-c", AGAIN, str(photos), str(saved), str(out)]
    again = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split() == ["2", "2", "False"]


def test_what_was_added_to_a_finished_run_is_predicted(saved, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    predict(save_photos(photos, 1), saved, out)
    save_street(photos / "2.png", BOX)
    run = predict(photos, saved, out)
    assert (run.images, run.done_before) == (2, 1)
    assert len(list((out / "masks").iterdir())) == 2


def test_a_pipeline_is_loaded_once_and_only_if_asked(saved):
    s2m, known = load(saved, defer=True)
    assert isinstance(s2m, Deferred)
    assert s2m.load() is s2m.load()
    eager, same = load(saved)
    assert isinstance(eager, S2M)
    assert known == same


@pytest.mark.parametrize("parts", [{"detector": "street+energy"}, {"masks": BoxSegmenter()}])
def test_what_may_need_fitting_or_lies_in_memory_is_loaded_at_once(parts):
    assert isinstance(load("street", defer=True, **parts)[0], S2M)


def test_a_pipeline_that_cannot_be_loaded_leaves_nothing(saved, tmp_path):
    (saved / "detector.safetensors").write_bytes(b"nothing of use")
    out = tmp_path / "out"
    with pytest.raises(OodsegError, match="detector"):
        predict(save_photos(tmp_path / "photos"), saved, out)
    assert not out.exists()
