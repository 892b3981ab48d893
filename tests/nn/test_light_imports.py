"""torchvision, and timm with it, come without torch's compiler; who asks for that still gets it."""

import subprocess
import sys
import types

from oodseg.nn import light_imports

SHIPPED = """
import sys
import numpy as np
from oodseg import S2M

s2m = S2M.from_pretrained("street", "cpu")
found = s2m(np.full((96, 128, 3), 90, np.uint8))
heavy = ("torch._dynamo", "sympy", "torch.distributed.fsdp", "transformers", "matplotlib", "scipy", "sklearn")
print("loaded", [name for name in heavy if name in sys.modules])

import torch, torchvision
from torchvision.ops import roi_align

boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
print(float(roi_align(torch.ones(1, 1, 8, 8), boxes, 2).mean()))
print("compiler", torch._dynamo.utils.is_compile_supported("cpu") in {True, False}, "sympy" in sys.modules)
print(sys.modules["torch._dynamo"].__file__ is not None)
"""
CHECKPOINTS = "import sys, torch.utils.checkpoint; print('sympy' in sys.modules)"
ASKS_MORE = """
import sys
from oodseg.nn import light_imports

class Asking:
    def find_spec(self, name, path=None, target=None):
        compiler = sys.modules.get("torch._dynamo")
        if name == "torchvision.extension" and not getattr(compiler, "__path__", True):
            raise ImportError("asks more of the compiler")

sys.meta_path.insert(0, Asking())
light_imports.import_torchvision()
print("torchvision.ops" in sys.modules, "sympy" in sys.modules)
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_shipped_pipeline_needs_no_compiler_and_leaves_it_whole():
    # Older torch has sympy for its checkpoints already, which torchvision's networks import.
    brought = ["sympy"] if "True" in run(CHECKPOINTS) else []
    assert run(SHIPPED).splitlines() == [f"loaded {brought}", "1.0", "compiler True True", "True"]


def test_a_torchvision_that_needs_more_gets_it():
    assert run(ASKS_MORE).split() == ["True", "True"]


def test_what_the_compiler_is_kept_from_stays_so(monkeypatch):
    asked = []

    def disable(function, **options):
        asked.append(options)
        return function

    compiler = types.SimpleNamespace(disable=disable)
    monkeypatch.setattr(light_imports, "import_module", lambda name: compiler)
    doubled = light_imports._disable(lambda value: 2 * value, recursive=True)
    assert not asked
    assert [doubled(2), doubled(3)] == [4, 6]
    assert asked == [{"recursive": True}]
