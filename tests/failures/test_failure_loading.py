import pytest

import failure_fakes
from oodseg.core.errors import ConfigError, WeightsError
from oodseg.failures.baselines import MSP
from oodseg.failures.loading import choose_failure_detector, failure_detector_sha256
from tiny_segmenter import TinySegmenter


def test_a_baseline_stands_around_any_segmenter():
    found = choose_failure_detector("msp", TinySegmenter())
    assert isinstance(found, MSP)
    assert found.classes == TinySegmenter.classes


def test_a_folder_is_loaded_and_has_a_checksum(tmp_path, monkeypatch):
    failure_fakes.register(monkeypatch)
    folder = failure_fakes.save_volume_detector(tmp_path / "mine")
    assert choose_failure_detector(str(folder)).classes == failure_fakes.STRUCTURES
    assert len(failure_detector_sha256(folder)) == 64
    assert failure_detector_sha256("msp") is None


@pytest.mark.parametrize("name", ["direct", "tcp"])
def test_what_must_be_trained_first_says_so(name):
    with pytest.raises(ConfigError, match=f"'{name}' must be trained first"):
        choose_failure_detector(name, TinySegmenter())


def test_what_is_nowhere():
    with pytest.raises(WeightsError, match="nonsense does not exist"):
        choose_failure_detector("nonsense")
