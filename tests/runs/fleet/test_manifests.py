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


@pytest.mark.parametrize(
    "text", ["path,town\na.png,Köln\n", "path,town\nKöln.png,x\n", "path,größe\na.png,x\n"]
)
@pytest.mark.parametrize("before", [0, 1 << 17])
def test_a_table_in_another_encoding(tmp_path, text, before):
    head, row = text.splitlines(keepends=True)
    (tmp_path / "a.csv").write_bytes((head + "a.png,plain\n" * before + row).encode("cp1252"))
    with pytest.raises(ConfigError, match=r"a\.csv is neither in UTF-8 nor in UTF-16: save it as CSV UTF-8"):
        list(Manifest(str(tmp_path / "a.csv")).rows())


@pytest.mark.parametrize("names", ["path,path,x", "path,x,x", "path,score,source_score"])
def test_two_columns_of_one_name(tmp_path, names):
    (tmp_path / "a.csv").write_text(f"{names}\na.png,1,2\n")
    with pytest.raises(ConfigError, match=r"a\.csv has two columns (path|x|source_score): rename one"):
        Manifest(str(tmp_path / "a.csv"))


@pytest.mark.parametrize("text", ["sep=;\r\npath;town\r\na.png;x\r\n", "path|town\na.png|x\n"])
def test_other_delimiters(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert [others for _, others in Manifest(str(tmp_path / "a.csv")).rows()] == [{"town": "x"}]
