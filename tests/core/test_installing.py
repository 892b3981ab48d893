import json
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from oodseg.core import installing
from oodseg.core.installing import install_extra, install_package


class Package:
    """Metadata of an installed package."""

    requires = (
        "numpy>=1.26",
        "h5py>=3.11; extra == 'hdf5'",
        'oodseg[onnx]; extra == "export"',
        "onnx>=1.17; extra == 'export'",
        "onnxruntime>=1.20; extra == 'onnx'",
    )

    def __init__(self, source):
        self.text = source if source is None or isinstance(source, str) else json.dumps(source)

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.text


@pytest.fixture
def installed(monkeypatch):
    """Pretends that the package came from a source, in the environment whose python is on the path."""

    def pretend(source):
        monkeypatch.setattr(installing, "distribution", lambda name: Package(source))

    monkeypatch.setattr(installing.shutil, "which", lambda name: sys.executable)
    monkeypatch.setattr(installing, "find_spec", lambda name: object())
    monkeypatch.setattr(installing, "_WINDOWS", False)
    return pretend


def test_an_editable_clone_is_named(installed, tmp_path):
    installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert install_extra("hdf5") == f"pip install -e '{tmp_path}[hdf5]'"


def test_a_folder_is_named(installed, tmp_path):
    folder = tmp_path / "my clone"
    folder.mkdir()
    installed({"url": folder.as_uri(), "dir_info": {}})
    assert install_extra("hdf5") == f"pip install '{folder}[hdf5]'"


def test_a_wheel_file_is_named(installed, tmp_path):
    wheel = tmp_path / "oodseg-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert install_extra("export") == f"pip install '{wheel}[export]'"
    wheel.unlink()
    assert install_extra("export") == "pip install 'onnxruntime>=1.20' 'onnx>=1.17'"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (None, "'oodseg[hdf5]'"),
        ("broken", "'oodseg[hdf5]'"),
        ("[]", "'oodseg[hdf5]'"),
        ({"url": "https://host/oodseg.whl", "archive_info": {}}, "'oodseg[hdf5] @ https://host/oodseg.whl'"),
        (
            {"url": "https://host/oodseg.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "'oodseg[hdf5] @ git+https://host/oodseg.git@abc'",
        ),
    ],
)
def test_other_sources(installed, source, target):
    installed(source)
    assert install_extra("hdf5") == f"pip install {target}"


def test_a_clone_that_was_never_installed(installed, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installing, "distribution", missing)
    assert install_extra("hdf5").endswith("[hdf5]'")
    assert install_extra("hdf5").startswith("pip install -e '/")


def test_other_packages(installed):
    assert install_package("timm") == "pip install timm"
    assert install_package("pillow>=11.3", "timm") == "pip install 'pillow>=11.3' timm"


def test_the_environment_is_named_where_it_is_not_the_one_on_the_path(installed, monkeypatch):
    monkeypatch.setattr(installing.shutil, "which", lambda name: None)
    assert install_package("timm") == f"{sys.executable} -m pip install timm"
    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    assert install_package("timm") == f"uv pip install --python {sys.executable} timm"
    monkeypatch.setattr(installing.shutil, "which", lambda name: sys.executable)
    assert install_package("timm") == "uv pip install timm"


def test_on_windows_quotes_are_double(installed, monkeypatch):
    installed(None)
    monkeypatch.setattr(installing, "_WINDOWS", True)
    assert install_extra("hdf5") == 'pip install "oodseg[hdf5]"'
