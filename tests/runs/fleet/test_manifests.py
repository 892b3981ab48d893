import pytest

from oodseg.core.errors import ConfigError
from oodseg.runs.fleet.manifests import Manifest


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_names_of_digits_alone_stay_as_they_are(tmp_path, mark):
    (tmp_path / "0001").write_bytes(b"")
    (tmp_path / "a.csv").write_bytes(f"{mark}path,weather\r\n0001,rain\r\n007,fog\r\n".encode())
    rows = list(Manifest(str(tmp_path / "a.csv")).rows())
    assert [path for path, _ in rows] == [str(tmp_path / "0001"), rows[1][0]]
    assert rows[1][0].endswith("007")
    assert [dict(others) for _, others in rows] == [{"weather": "rain"}, {"weather": "fog"}]


def test_a_row_without_a_path(tmp_path):
    (tmp_path / "a.csv").write_text("path,weather\n,rain\n")
    with pytest.raises(ConfigError, match="has a row without a path: fill it in"):
        list(Manifest(str(tmp_path / "a.csv")).rows())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_excel_writes_them(tmp_path, delimiter, encoding):
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "0001").write_bytes(b"")
    text = "weather,path\r\nrain,day\\0001\r\n".replace(",", delimiter)
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    ((path, others),) = Manifest(str(tmp_path / "a.csv")).rows()
    assert path == str(tmp_path / "day" / "0001")
    assert others == {"weather": "rain"}
