import pytest


@pytest.fixture
def red(tmp_path_factory, monkeypatch):
    """Folder of a saved pipeline that takes whatever is red for unknown."""
    from redness import register, save_pipeline

    register(monkeypatch)
    return save_pipeline(tmp_path_factory.mktemp("pipelines") / "red")
