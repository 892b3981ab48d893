"""Asks a store again that fails now and then."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")

ATTEMPTS = 10
_FIRST, _LONGEST = 0.05, 5.0  # seconds
# What no second try mends.
_FINAL = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ValueError,
    TypeError,
)


def retrying(
    action: Callable[[], ResultT],
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> ResultT:
    """Does something until it succeeds, with longer and longer pauses of random length.

    Args:
        action: What is done; it must be harmless to do it again.
        attempts: How often it is tried at most.
        sleep: Waits a number of seconds.

    Raises:
        Exception: The last error, or one that no second try mends: a missing file, no permission.
    """
    for attempt in range(attempts):
        try:
            return action()
        except _FINAL:
            raise
        except Exception:
            if attempt == attempts - 1:
                raise
            sleep(min(_LONGEST, _FIRST * 2**attempt) * random.uniform(0.5, 1.0))
    raise AssertionError("attempts are at least 1")
