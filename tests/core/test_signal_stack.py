import ctypes
import faulthandler
import sys

import pytest

from oodseg.core.signal_stack import _Stack, keep_signal_stack
from signal_stacks import current


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="signal stacks of other systems are left alone"
)
@pytest.mark.parametrize("fails", [False, True])
def test_the_stack_is_the_same_afterwards(fails) -> None:
    faulthandler.enable()
    before, own = current(), ctypes.create_string_buffer(2**16)
    try:
        with keep_signal_stack():
            given = _Stack(ctypes.addressof(own), 0, len(own))
            assert ctypes.CDLL(None).sigaltstack(ctypes.byref(given), None) == 0
            assert current() == (ctypes.addressof(own), 0, len(own)) != before
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    assert current() == before
