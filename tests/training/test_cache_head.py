import pytest

from oodseg.core.errors import DatasetError
from oodseg.training.cache_head import check_head, read_head


def test_the_same_head_passes_and_another_does_not(tmp_path) -> None:
    folder = tmp_path / "cache"
    assert read_head(folder) is None
    check_head(folder, {"sizes": [(1, 2)]}, "cats")
    check_head(folder, {"sizes": [(1, 2)]}, "cats")  # tuples come back as lists
    with pytest.raises(DatasetError, match="cache holds cats: delete the folder or name another one"):
        check_head(folder, {"sizes": [(1, 3)]}, "cats")
    assert read_head(folder) == {"sizes": [[1, 2]]}


def test_a_damaged_head_is_named(tmp_path) -> None:
    (tmp_path / "cache.json").write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"cache\.json is damaged: delete the folder"):
        read_head(tmp_path)
