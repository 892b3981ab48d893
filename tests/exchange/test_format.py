import pytest

from oodseg.core.errors import DatasetError
from oodseg.exchange.format import reading


def test_a_mask_as_text_does_not_fill_the_message(tmp_path):
    mask = "eJzVmk" * 50_000
    with (
        pytest.raises(
            DatasetError, match=r"tasks\.json holds no tasks \(could not .*\.\.\.\): export it"
        ) as found,
        reading(tmp_path / "tasks.json", "tasks"),
    ):
        float(mask)
    assert len(str(found.value)) < 400 + len(str(tmp_path))
