"""Freed memory is kept."""

import subprocess
import sys

import pytest

LARGE = """
import resource, threading
from oodseg.core.allocation import keep_freed_memory
print(keep_freed_memory())
import numpy as np
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    for _ in range(3):
        np.ones(2**27, np.uint8)
    before = faults()
    for _ in range(5):
        np.ones(2**27, np.uint8)
    print(faults() - before)
use()
thread = threading.Thread(target=use)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_large_arrays_get_the_same_memory_again_in_every_thread() -> None:
    run = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    understood, *faults = run.stdout.split()
    if understood != "True":
        pytest.skip("another C library than glibc")
    assert [int(each) < 2**27 // 4096 for each in faults] == [True, True], faults
