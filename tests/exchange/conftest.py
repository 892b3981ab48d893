import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import label_cases


@pytest.fixture
def labelled(tmp_path):
    return label_cases.images(tmp_path / "photos")
