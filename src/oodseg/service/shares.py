"""Shares the threads of a CPU among computations that run at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Shares:
    """Torch's threads, as the thread that makes it has them.

    Args:
        workers: Most computations at once; there are no more than threads.

    Attributes:
        workers: The same, as it is kept.
    """

    def __init__(self, workers: int) -> None:
        self._threads = torch.get_num_threads()
        self.workers = min(workers, self._threads)
        self._busy = 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self, waiting: int) -> Iterator[None]:
        """Gives the computation of the block its part of the threads.

        Args:
            waiting: Further computations that are to begin at once.
        """
        with self._lock:
            self._busy += 1
            parts = min(self.workers, self._busy + waiting)
            torch.set_num_threads(self._threads // parts)  # of this thread alone
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
