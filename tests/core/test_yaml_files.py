import pytest

from oodseg.core.build import build
from oodseg.core.errors import ConfigError
from oodseg.core.yaml_files import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E+3", -2000.0),
        (".5", 0.5),
        ("1_000.5", 1000.5),
        (".inf", float("inf")),
        ("7", 7),
        ("-7", -7),
        ("010", 10),
        ("0x1F", 31),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        ("'1e-4'", "1e-4"),
        ("true", True),
        ("on", True),
        ("no", False),
        ("~", None),
    ],
)
def test_numbers_are_those_of_json(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(f"a: {text}\n")
    found = read_yaml(tmp_path / "a.yaml")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_byte_order_and_windows_line_ends(tmp_path, encoding):
    (tmp_path / "a.yaml").write_bytes("a: 1\r\nb: 2\r\n".encode(encoding))
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "? [1, 2]\n: 3\n", "a:\n\tb: 1\n", "a: !!python/name:os.system\n"]
)
def test_what_cannot_be_read_is_said(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml cannot be read as YAML"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "name: components\nthreshold: 1e-3\n"),
        ("a.json", '{"name": "components", "threshold": 1e-3}'),
    ],
)
def test_options_may_have_exponents(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert build("prompts", str(tmp_path / name)).threshold == 1e-3
