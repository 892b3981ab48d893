"""Imports torchvision and timm without torch's compiler.

Both import `torch._dynamo`, and with it sympy, triton and torch.distributed: torchvision to ask a question
that is put only where operators are compiled, timm to keep the compiler from a function of one of its models.
That is two fifths of the time that torch, torchvision and timm take to import together. Here the compiler
comes when it is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_QUESTION = f"{_COMPILER}.utils"


def import_torchvision() -> None:
    """Imports torchvision; to be called before anything else does.

    Raises:
        ImportError: It is not installed.
    """
    _import("torchvision")


def import_timm() -> Any:
    """Imports timm, and torchvision with it; to be called before anything else does.

    Raises:
        ImportError: It is not installed.
    """
    _import("torchvision")
    return _import("timm")


def _import(name: str) -> Any:
    if name in sys.modules:
        return import_module(name)
    before = set(sys.modules)
    try:
        with _without_compiler():
            return import_module(name)
    except (ImportError, AttributeError):  # a version that asks more
        for each in [each for each in sys.modules if each.partition(".")[0] == name]:
            if each not in before:
                del sys.modules[each]
        return import_module(name)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Has stand-ins for the modules of torch's compiler within the block, unless they are there already."""
    if _COMPILER in sys.modules:
        yield
        return
    package, question = ModuleType(_COMPILER), ModuleType(_QUESTION)
    package.__path__ = []  # a package, of which nothing else can be imported
    vars(package).update(utils=question, disable=_disable)
    vars(question).update(is_compile_supported=_is_compile_supported)
    stand_ins = {_COMPILER: package, _QUESTION: question}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _is_compile_supported(device_type: str) -> Any:
    return import_module(_QUESTION).is_compile_supported(device_type)


def _disable(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[..., Any]:
    """Keeps the compiler from a function, as `torch._dynamo.disable` does, from its first call on."""
    kept: list[Callable[..., Any]] = []

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        if not kept:
            kept.append(import_module(_COMPILER).disable(function, *arguments, **options))
        return kept[0](*given, **named)

    return call
