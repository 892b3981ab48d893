"""Keeps the memory on which signals are handled."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    # stack_t of Linux's signal.h
    _fields_ = (("memory", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Gives this thread the alternate signal stack back that it had before, or none.

    OpenVINO sets one of its own when it compiles a network. When the network is freed it sets the one that it
    found, which may itself have been freed by then. The next signal, be it Ctrl-C or the end of a child,
    would be handled on memory that is gone, which ends the process (sigaltstack(2)). Elsewhere than on Linux
    nothing is done.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    change, before = ctypes.CDLL(None).sigaltstack, _Stack()
    change(None, ctypes.byref(before))
    try:
        yield
    finally:
        change(ctypes.byref(before), None)
