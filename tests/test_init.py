"""What `import oodseg` gives, and what it costs."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import oodseg

HEAVY = ("torch", "torchvision", "numpy", "cv2", "PIL", "matplotlib", "pandas", "transformers")


def fresh(code):
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def typed_imports():
    """Name to module, as type checkers see them."""
    tree = ast.parse(Path(oodseg.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {alias.name: each.module for each in block.body for alias in each.names}


def test_import_brings_no_heavy_library():
    code = f"import sys, oodseg; dir(oodseg); print([name for name in {HEAVY} if name in sys.modules])"
    assert fresh(code) == "[]\n"


def test_star_import_gives_every_public_name():
    code = "import oodseg; from oodseg import *; print(sorted(set(oodseg.__all__) - set(globals())))"
    assert fresh(code) == "[]\n"


@pytest.mark.parametrize("name", oodseg.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(oodseg, name)
    assert name in dir(oodseg)
    assert found is getattr(oodseg, name)
    if name != "__version__":
        assert inspect.getdoc(found)


def test_type_checkers_see_what_is_looked_up():
    assert typed_imports() == oodseg._HOMES
    assert sorted(oodseg.__all__) == sorted([*oodseg._HOMES, "__version__"])


def test_every_error_is_exported():
    from oodseg.core import errors

    raised = {name for name, each in vars(errors).items() if inspect.isclass(each)}
    assert raised <= set(oodseg.__all__)


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'oodseg' has no attribute 'S3M'"):
        _ = oodseg.S3M
