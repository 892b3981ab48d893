"""The alternate signal stack of this thread."""

import ctypes

from oodseg.core.signal_stack import _Stack


def current() -> tuple[int | None, int, int]:
    """Memory, flags and size."""
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.memory, found.flags, found.size
