"""Settings come from the environment."""

import pytest

from oodseg.core.errors import ConfigError
from oodseg.service.models import Models
from oodseg.service.settings import Settings, read_settings


def test_the_environment_is_read_and_arguments_win(monkeypatch) -> None:
    monkeypatch.setenv("OODSEG_PORT", "9000")
    monkeypatch.setenv("OODSEG_MAX_PIXELS", "1000")
    monkeypatch.setenv("OODSEG_CORS_ORIGINS", "https://a.org,https://b.org")
    monkeypatch.setenv("OODSEG_API_KEY", "")
    found = read_settings(port=9001, host=None)
    assert (found.port, found.host, found.max_pixels) == (9001, "127.0.0.1", 1000)
    assert found.cors_origins == ("https://a.org", "https://b.org")
    assert found.api_key is None


@pytest.mark.parametrize(
    ("name", "value"), [("port", "http"), ("max_pixels", "0"), ("log_level", "loud"), ("queue_length", "-1")]
)
def test_a_wrong_value_is_named(monkeypatch, name, value) -> None:
    monkeypatch.setenv(f"OODSEG_{name.upper()}", value)
    with pytest.raises(ConfigError, match=f"OODSEG_{name.upper()}.*{value}"):
        read_settings()


def test_every_setting_is_described_and_the_key_is_not_shown() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert "secret" not in repr(Settings(api_key="secret"))


def test_the_runtime_is_that_of_the_pipeline() -> None:
    with pytest.raises(ConfigError, match="there is no runtime 'steam'"):
        Models.load(Settings(runtime="steam"))
