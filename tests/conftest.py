"""Shared by all tests: one torch thread (two cores run two workers) and a fixed seed."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

# A test may take long once, when the machine is busy; no test here is about time. Every machine tries the
# same examples; `--hypothesis-profile=default` tries others.
settings.register_profile("oodseg", deadline=None, derandomize=True)
settings.load_profile("oodseg")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Marks what drives a browser, which `make test-fast` leaves out."""
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker("browser")


@pytest.fixture(autouse=True)
def _one_thread_and_seed() -> None:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def red(tmp_path_factory, monkeypatch):
    """Folder of a saved pipeline that takes whatever is red for unknown."""
    from redness import register, save_pipeline

    register(monkeypatch)
    return save_pipeline(tmp_path_factory.mktemp("pipelines") / "red")
