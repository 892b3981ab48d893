import pytest

from oodseg.core.texts import decoded, read_text

TEXT = '{"größe": 1}\n{"b": 2}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, encoding, line_end):
    (tmp_path / "a.json").write_bytes(TEXT.replace("\n", line_end).encode(encoding))
    assert read_text(tmp_path / "a.json") == TEXT


def test_big_endian_with_its_mark(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    assert read_text(tmp_path / "a.json") == TEXT


@pytest.mark.parametrize("data", [b"", b"a", b"\0", b"\0\0"])
def test_what_is_hardly_a_text(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert read_text(tmp_path / "a") == data.decode()


def test_another_encoding_is_an_error_but_for_names(tmp_path):
    (tmp_path / "a.txt").write_bytes("größe".encode("cp1252"))
    with pytest.raises(UnicodeError, match="neither in UTF-8 nor in UTF-16: save it in UTF-8"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(UnicodeDecodeError):
        decoded("größe".encode("cp1252"))
    assert decoded("größe".encode("cp1252"), lenient=True).encode("utf-8", "surrogateescape") == (
        "größe".encode("cp1252")
    )
