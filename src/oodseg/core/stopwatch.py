"""Times the stages of a piece of work."""

from __future__ import annotations

import time


class Stopwatch:
    """Laps in milliseconds.

    Args:
        started: When the work began, as `time.perf_counter` gives it.
    """

    def __init__(self, started: float) -> None:
        self._started = self._last = started
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Ends the current lap under that name and begins the next."""
        now = time.perf_counter()
        self._laps[name] = (now - self._last) * 1e3
        self._last = now

    def finish(self) -> dict[str, float]:
        """Returns all laps and `"total"`."""
        return {**self._laps, "total": (self._last - self._started) * 1e3}
